// The server's clock, as far as this machine can tell: a wrong clock here must not make a fresh value look old.
let ahead = 0;

export function setServerTime(iso) {
  const server = Date.parse(iso);
  if (!Number.isNaN(server)) ahead = server - Date.now();
}

export function now() {
  return Date.now() + ahead;
}

setServerTime(document.documentElement.dataset.now);
