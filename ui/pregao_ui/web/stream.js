/* The rows of a session as they are committed, for the parts of the page that show them.
 *
 * Pregao.follow(id, {rows(rows, first), session(session), state(state)}) returns a function that ends it.
 * A tab shares the worker's connection; where there is no SharedWorker (Chrome on Android) it has its own, and
 * gives it back while the tab is hidden. */
(() => {
  "use strict";
  if (Pregao.follow) return;
  const TAIL = 6000;                                 // rows read at first: some 1,500 bars with what they caused
  const MOST = 3;                                    // times as many of a session of several instruments
  const PAGE = 2000;                                 // of them at a time: others are answered in between
  const KEEP = 20_000;
  const streams = new Map();

  let port = null;
  try {
    if (window.SharedWorker && !new URLSearchParams(location.search).has("noworker")) {
      const worker = new SharedWorker("/ui/stream-worker.js", "pregao-stream");
      port = worker.port;
      port.onmessage = ({ data }) => streams.get(data.id)?.fromWorker(data);
      worker.onerror = () => { port = null; for (const stream of streams.values()) stream.open(); };
      setInterval(() => port?.postMessage({ op: "ping" }), 20_000);
      addEventListener("pagehide", () => { for (const id of streams.keys()) port?.postMessage({ op: "leave", id }); });
      addEventListener("pageshow", (event) => { if (event.persisted) for (const stream of streams.values()) stream.open(); });
    }
  } catch { port = null; }

  class Stream {
    constructor(id) {
      this.id = id;
      this.watchers = new Set();
      this.seq = 0;
      this.rows = [];
      this.session = null;
      this.last = "connecting";
      this.ready = false;                            // the history has been read
      this.delay = 500;
      this.open();
    }
    address(what) {
      const tail = TAIL * Math.min(1 + (this.session?.also.length ?? 0), MOST);
      return `/api/sessions/${encodeURIComponent(this.id)}/${what}?${this.ready ? `after=${this.seq}` : `tail=${tail}`}`;
    }
    tell(what, ...args) { for (const watcher of [...this.watchers]) watcher[what]?.(...args); }
    state(name) { if (this.last !== name) { this.last = name; this.tell("state", name); } }
    take(rows) {
      const fresh = rows.filter((row) => row.s > this.seq);
      if (!fresh.length) return;
      this.seq = fresh[fresh.length - 1].s;
      for (const row of fresh) this.rows.push(row);
      if (this.rows.length > KEEP * 1.2) this.rows.splice(0, this.rows.length - KEEP);
      this.tell("rows", fresh, false);
    }
    news(session) { this.session = session; this.tell("session", session); }

    open() {
      if (port) { this.waiting = []; port.postMessage({ op: "join", id: this.id }); return; }
      clearTimeout(this.timer);
      this.source?.close();
      const source = this.source = new EventSource(this.address("events"));
      this.state(this.ready ? "reconnecting" : "connecting");
      for (const name of ["history", "rows"]) source.addEventListener(name, (event) => this.take(JSON.parse(event.data)));
      source.addEventListener("session", (event) => this.news(JSON.parse(event.data)));
      source.addEventListener("live", () => { this.ready = true; this.delay = 500; this.state("live"); });
      source.onerror = () => {
        this.state("reconnecting");
        if (source.readyState !== EventSource.CLOSED) return;
        this.timer = setTimeout(() => this.open(), this.delay);
        this.delay = Math.min(this.delay * 2, 15_000);
      };
    }
    async fromWorker({ state, rows, session }) {
      if (session) this.news(session);
      if (rows) { if (this.waiting) this.waiting.push(...rows); else this.take(rows); }
      if (!state) return;
      this.told = state;                             // another may be told while the rows of before are read
      if (state === "live" && this.waiting && !await this.catchUp()) this.state("reconnecting");
      else this.state(this.told);
    }
    async catchUp() {                                // the worker is live: what was before, then what came meanwhile
      try {
        let page;
        do {
          page = await Pregao.request(`${this.address("rows")}&limit=${PAGE}`);
          this.take(page);
          this.ready = true;                         // the next page comes after the last row of this one
        } while (page.length === PAGE);
      } catch {
        if (this.watchers.size) setTimeout(() => this.open(), 1500);
        return false;
      }
      const meanwhile = this.waiting ?? [];
      this.waiting = null;
      this.take(meanwhile);
      return true;
    }
    hide() { if (!port) { clearTimeout(this.timer); this.source?.close(); } }
    close() {
      port?.postMessage({ op: "leave", id: this.id });
      clearTimeout(this.timer);
      this.source?.close();
      streams.delete(this.id);
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!port) for (const stream of streams.values()) document.hidden ? stream.hide() : stream.open();
  });

  Pregao.follow = (id, watcher) => {
    if (!streams.has(id)) streams.set(id, new Stream(id));
    const stream = streams.get(id);
    stream.watchers.add(watcher);
    if (stream.session) watcher.session?.(stream.session);
    if (stream.rows.length) watcher.rows?.(stream.rows, true);
    watcher.state?.(stream.last);
    return () => { stream.watchers.delete(watcher); if (!stream.watchers.size) stream.close(); };
  };
  Pregao.streams = streams;
})();
