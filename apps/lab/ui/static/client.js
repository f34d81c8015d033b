// Follows a run over HTTP: asks for the events after those it has, reads what is said meanwhile, asks again, until the end.

const WAIT = 20,
  PAUSE = 250,
  BACK_OFF = [500, 1000, 2000, 4000, 8000];
const DONE = new Set(["finished", "cancelled", "failed", "interrupted"]);

/** An answer of the server that asking again will not change: `message` and `hint` are for people. */
export class Refused extends Error {
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

/**
 * Calls `onAnswer({events, next, outcome, place, estimate_s})` for every answer and `onTrouble(true|false)` when the
 * connection is lost and found again. `page` names whoever follows, see `leave`. One request at a time; each stays open while the run goes on and brings an answer
 * whenever there is news. Ends after the line of kind "end", when `signal` aborts, or with `Refused`.
 */
export async function follow(base, runId, since, { onAnswer, onTrouble, signal, page = "" }) {
  let wait = 0,
    failures = 0,
    ended = false;
  while (!ended && !signal.aborted) {
    const began = performance.now();
    try {
      const url = `${base}runs/${encodeURIComponent(runId)}/events?since=${since}&wait=${wait}&page=${page}`;
      for await (const answer of answers(url, wait, signal, since === 0 && early(runId))) {
        if (failures) onTrouble(false);
        failures = 0;
        const events = answer.events.filter((event) => event.seq === undefined || event.seq >= since);
        since = Math.max(since, answer.next ?? since + events.length);
        ended = events.some((event) => event.kind === "end");
        if (!ended && !events.length && DONE.has(answer.outcome)) {
          ended = true;
          events.push({ seq: since, kind: "end", outcome: answer.outcome });
        }
        onAnswer({ ...answer, events });
        if (ended) return;
      }
      wait = WAIT;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) throw error;
      onTrouble(true);
      await pause(BACK_OFF[Math.min(failures++, BACK_OFF.length - 1)], signal);
      wait = 0;
      continue;
    }
    await pause(PAUSE - (performance.now() - began), signal);
  }
}

/** What the first HTML of the page has asked for already (apps/lab/first_paint.py), once; otherwise nothing. */
function early(runId) {
  const asked = window.gbEarly?.[runId];
  delete window.gbEarly?.[runId];
  return asked;
}

/** The answers of one request, each a line of JSON, as they arrive. A line that was cut short counts as a lost connection. */
async function* answers(url, wait, signal, asked) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), (wait + 10) * 1000);
  const stop = () => late.abort();
  const woken = afterSleep(stop);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const response = (await asked) || (await fetch(url, { signal: late.signal, credentials: "same-origin", cache: "no-store" }));
    if (!response.ok) await refuse(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "", done = false; !done; ) {
      const chunk = await reader.read();
      done = chunk.done;
      const lines = (rest + (chunk.value ?? "")).split("\n");
      rest = done ? "" : lines.pop();
      for (const line of lines) if (line.trim() && !signal.aborted) yield JSON.parse(line);
    }
  } finally {
    late.abort();
    clearTimeout(timer);
    woken();
    signal.removeEventListener("abort", stop);
  }
}

// Calls `act` when the page is seen again after so long that its connection may have died unnoticed. The answer ends that.
function afterSleep(act) {
  let hidden = document.hidden ? performance.now() : Infinity;
  const look = () => {
    if (document.hidden) hidden = performance.now();
    else if (performance.now() - hidden > 5000) act();
  };
  document.addEventListener("visibilitychange", look);
  return () => document.removeEventListener("visibilitychange", look);
}

async function refuse(response) {
  if (response.status >= 500 || response.status === 429 || response.status === 408) throw new Error(`status ${response.status}`);
  const said = await response.json().catch(() => ({}));
  throw new Refused(
    said.error || "This run cannot be shown.",
    said.hint || "It may have been deleted, or it belongs to another browser.",
  );
}

// Cut short when the run is no longer wanted, or when the browser says that the network is back.
function pause(milliseconds, signal) {
  if (milliseconds <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      removeEventListener("online", done);
      document.removeEventListener("visibilitychange", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
    addEventListener("online", done, { once: true });
    document.addEventListener("visibilitychange", done, { once: true });
  });
}

/** JSON from the lab, or `Refused` with a sentence. */
export async function read(base, path) {
  return answerOf(await fetch(`${base}${path}`, { credentials: "same-origin", cache: "no-store" }));
}

/** The address of something that belongs to a run: `""` is run.json, `"report.html"` the report. */
export function addressOf(base, runId, what = "") {
  return `${base}runs/${encodeURIComponent(runId)}${what ? `/${what.split("/").map(encodeURIComponent).join("/")}` : ""}`;
}

/** Asks the server to stop a run; the end event tells when it has. */
export function cancel(base, runId) {
  return send(base, runId, "cancel");
}

/** Says that this page no longer watches a run, also while the page is being closed. Without it the lab waits for some minutes. */
export function leave(base, runId, page) {
  const address = `${addressOf(base, runId, "leave")}?page=${page}`;
  fetch(address, { method: "POST", credentials: "same-origin", keepalive: true }).catch(() => {});
}

/** Ends what others compute or wait for; only whoever sits at the computer of the lab may. */
export async function clearLine(base) {
  return answerOf(await fetch(`${base}line/clear`, { method: "POST", credentials: "same-origin" }));
}

/** POST runs/ID/VERB with a small JSON body (`pin`, `publish`, `cancel`). */
export async function send(base, runId, verb, body = {}) {
  const headers = { "content-type": "application/json" };
  return answerOf(
    await fetch(addressOf(base, runId, verb), { method: "POST", credentials: "same-origin", headers, body: JSON.stringify(body) }),
  );
}

/** What a probe answers; `Refused` where it has something to say against the question. */
export async function probe(base, name, config, seed = 0, signal = undefined) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ config, seed });
  return answerOf(await fetch(`${base}ask/${name}`, { method: "POST", credentials: "same-origin", headers, body, signal }));
}

/** Deletes a run for good. */
export async function remove(base, runId) {
  return answerOf(await fetch(addressOf(base, runId), { method: "DELETE", credentials: "same-origin" }));
}

async function answerOf(response) {
  const said = await response.json().catch(() => ({}));
  if (response.ok) return said;
  throw new Refused(said.error || "The lab did not do that.", said.hint || "Reload the page and try again.");
}
