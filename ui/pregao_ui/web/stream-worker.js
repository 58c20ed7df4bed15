/* SharedWorker: one connection to the server, however many tabs show however many sessions.
 *
 * A browser allows six HTTP/1.1 connections a host over all tabs: without this the seventh tab would hang.
 * In:  {op: "join" | "leave", id}, {op: "ping"}
 * Out: {id, state}, {id, rows}, {id, session}
 * A tab that joins waits for the state "live" before it reads the history by itself; whatever is committed after
 * that comes from here, so nothing can fall between the two. A session that is joined or left by its last tab opens
 * the connection anew, which goes on from the last row seen of each of the others. */
"use strict";
const GONE = 180_000;                                // ms without a ping: the tab was closed or killed
const SETTLE = 30;                                   // ms: tabs that open together cost one connection
const SLOWEST = 15_000;                              // ms between two attempts
const feeds = new Map();                             // session id -> Feed

class Feed {
  constructor(id) {
    this.id = id;
    this.ports = new Map();                          // port -> time of its last sign of life
    this.seq = -1;                                   // last row seen; -1 before the first "live"
    this.state = "connecting";
    this.session = null;
  }
  get place() { return this.seq < 0 ? this.id : `${this.id}:${this.seq}`; }
  say(message) { for (const port of this.ports.keys()) port.postMessage({ id: this.id, ...message }); }
  set(state) { if (this.state !== state) { this.state = state; this.say({ state }); } }
  take(rows) {
    const fresh = rows.filter((row) => row.s > this.seq);
    if (!fresh.length) return;
    this.seq = fresh[fresh.length - 1].s;
    this.say({ rows: fresh });
  }
}

const line = {                                       // the connection
  source: null, timer: null, delay: 500,
  open() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    if (!feeds.size) return;
    const asked = [...feeds.values()].map((feed) => `session=${encodeURIComponent(feed.place)}`);
    const source = this.source = new EventSource(`/api/events?${asked.join("&")}`);
    const on = (name, act) => source.addEventListener(name, (event) => {
      const { session, data } = JSON.parse(event.data);
      const feed = feeds.get(session);
      if (feed && source === this.source) act(feed, data);
    });
    on("history", (feed, rows) => feed.take(rows));
    on("rows", (feed, rows) => feed.take(rows));
    on("session", (feed, session) => { feed.session = session; feed.say({ session }); });
    on("live", (feed, last) => { feed.seq = Math.max(feed.seq, last); this.delay = 500; feed.set("live"); });
    on("gone", (feed) => { feeds.delete(feed.id); feed.set("reconnecting"); });
    source.onerror = () => {
      if (source !== this.source) return;
      source.close();                                // by itself it would ask for the rows of before again
      for (const feed of feeds.values()) feed.set("reconnecting");
      this.soon(this.delay);
      this.delay = Math.min(this.delay * 2, SLOWEST);
    };
  },
  soon(ms = SETTLE) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), ms);
  },
};

function leave(feed, port) {
  feed.ports.delete(port);
  if (feed.ports.size) return;
  feeds.delete(feed.id);
  line.soon();
}

onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data: { op, id } }) => {
    if (op === "join") {
      if (!feeds.has(id)) {
        feeds.set(id, new Feed(id));
        line.soon();
      }
      const feed = feeds.get(id);
      feed.ports.set(port, Date.now());
      port.postMessage({ id, state: feed.state });
      if (feed.session) port.postMessage({ id, session: feed.session });
    } else if (op === "leave") {
      if (feeds.has(id)) leave(feeds.get(id), port);
    } else {
      for (const feed of feeds.values()) if (feed.ports.has(port)) feed.ports.set(port, Date.now());
    }
  };
};

setInterval(() => {
  const limit = Date.now() - GONE;
  for (const feed of [...feeds.values()]) for (const [port, seen] of [...feed.ports]) if (seen < limit) leave(feed, port);
}, 30_000);
