/* SharedWorker: one connection to the server per session, however many tabs show it.
 *
 * A browser allows six HTTP/1.1 connections a host over all tabs: without this the seventh tab would hang.
 * In:  {op: "join" | "leave", id}, {op: "ping"}
 * Out: {id, state}, {id, rows}, {id, session}
 * A tab that joins waits for the state "live" before it reads the history by itself; whatever is committed after
 * that comes from here, so nothing can fall between the two. */
"use strict";
const GONE = 180_000;                                // ms without a ping: the tab was closed or killed
const feeds = new Map();                             // session id -> Feed

class Feed {
  constructor(id) {
    this.id = id;
    this.ports = new Map();                          // port -> time of its last sign of life
    this.seq = -1;                                   // last row seen; -1 before the first "live"
    this.state = "connecting";
    this.delay = 500;
    this.session = null;
    this.connect();
  }
  say(message) { for (const port of this.ports.keys()) port.postMessage({ id: this.id, ...message }); }
  set(state) { this.state = state; this.say({ state }); }
  connect() {
    const from = this.seq < 0 ? "tail=0" : `after=${this.seq}`;
    const source = this.source = new EventSource(`/api/sessions/${encodeURIComponent(this.id)}/events?${from}`);
    const take = (event) => {
      const rows = JSON.parse(event.data).filter((row) => row.s > this.seq);
      if (!rows.length) return;
      this.seq = rows[rows.length - 1].s;
      this.say({ rows });
    };
    source.addEventListener("history", take);
    source.addEventListener("rows", take);
    source.addEventListener("session", (event) => { this.session = JSON.parse(event.data); this.say({ session: this.session }); });
    source.addEventListener("live", (event) => {
      this.seq = Math.max(this.seq, Number(event.data));
      this.delay = 500;
      this.set("live");
    });
    source.onerror = () => {                         // while readyState is 0 the browser retries by itself, with Last-Event-ID
      this.set("reconnecting");
      if (source.readyState !== EventSource.CLOSED) return;
      this.timer = setTimeout(() => this.connect(), this.delay);
      this.delay = Math.min(this.delay * 2, 15_000);
    };
  }
  leave(port) {
    this.ports.delete(port);
    if (this.ports.size) return;
    clearTimeout(this.timer);
    this.source.close();
    feeds.delete(this.id);
  }
}

onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data: { op, id } }) => {
    if (op === "join") {
      if (!feeds.has(id)) feeds.set(id, new Feed(id));
      const feed = feeds.get(id);
      feed.ports.set(port, Date.now());
      port.postMessage({ id, state: feed.state });
      if (feed.session) port.postMessage({ id, session: feed.session });
    } else if (op === "leave") {
      feeds.get(id)?.leave(port);
    } else {
      for (const feed of feeds.values()) if (feed.ports.has(port)) feed.ports.set(port, Date.now());
    }
  };
};

setInterval(() => {
  const limit = Date.now() - GONE;
  for (const feed of [...feeds.values()]) for (const [port, seen] of [...feed.ports]) if (seen < limit) feed.leave(port);
}, 30_000);
