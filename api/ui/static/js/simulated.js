// What scenario runs sent of what a chart shows, told in words beside it: one line a run, with the way to the run.
import { element, moments } from "./charting.js";

// By run, of anything that has a run and a time: the first and the last of it.
function runsIn(found) {
  const runs = new Map();
  for (const each of found) {
    if (!each.simulated_by) continue;
    const { run_id, scenario } = each.simulated_by;
    const [since, until] = [Date.parse(each.since), Date.parse(each.until)];
    const run = runs.get(run_id) ?? { run_id, scenario, since, until };
    runs.set(run_id, { ...run, since: Math.min(run.since, since), until: Math.max(run.until, until) });
  }
  return [...runs.values()].sort((a, b) => a.since - b.since);
}

// Of an answer with series, with what held for circuits, and with the statuses of capabilities.
const simulatedIn = ({ series, circuits, capabilities = [] }) => [
  ...series.flatMap((each) => each.simulated),
  ...circuits.flatMap((each) => each.periods),
  ...capabilities.flatMap(({ simulated_by, since, until }) =>
    simulated_by.map((run, index) => ({ simulated_by: run, since: since[index], until: until[index] })),
  ),
];

export function tellSimulated(list, answer, timeZone) {
  const clock = moments(timeZone);
  const notes = runsIn(simulatedIn(answer)).map((run) => {
    const link = element("a", "", run.scenario);
    link.href = `/scenario-runs/${run.run_id}`;
    const span = clock.formatRange(run.since, run.until);
    return element("li", "simulated tone-warn", element("span", "", "Simulated by scenario ", link, `, ${span}`));
  });
  list.replaceChildren(...notes);
}
