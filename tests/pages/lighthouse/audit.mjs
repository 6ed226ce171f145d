// node audit.mjs PORT URL…: has Lighthouse audit the pages in the Chromium whose debugger listens at PORT, one after the
// other, and writes a JSON list of what is wrong: {url, category, score, audits}.
import lighthouse from "lighthouse";

const CATEGORIES = ["accessibility", "best-practices"];
const [port, ...urls] = process.argv.slice(2);
const found = [];
for (const url of urls) {
  const options = { port: Number(port), logLevel: "error", output: "json", onlyCategories: CATEGORIES };
  const config = {
    extends: "lighthouse:default",
    // Simulated throttling slows nothing down; with any other method each page is watched for five more seconds.
    settings: { throttlingMethod: "simulate", disableFullPageScreenshot: true, maxWaitForLoad: 20000 },
  };
  const { lhr } = await lighthouse(url, options, config);
  if (lhr.runtimeError) found.push({ url, category: "none", score: null, audits: [lhr.runtimeError.message] });
  for (const category of CATEGORIES) {
    const { score, auditRefs } = lhr.categories[category];
    if (score === 1) continue;
    const failed = auditRefs.map(({ id }) => lhr.audits[id]).filter((audit) => audit.score !== null && audit.score < 1);
    const audits = failed.map((audit) => {
      const items = (audit.details?.items ?? []).slice(0, 3).map((item) => item.node?.snippet ?? JSON.stringify(item));
      return `${audit.id}: ${audit.title} ${items.join(" ")}`.slice(0, 600);
    });
    found.push({ url, category, score, audits });
  }
}
process.stdout.write(JSON.stringify({ audited: urls.length, found }));
