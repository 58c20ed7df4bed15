/* The decisions: what the AI saw, what it expects in money, why in words, and what happened then. */
(() => {
  "use strict";
  const parts = window.Pregao.parts ??= {};
  if (parts.decisions) return;
  const { T, has, told, format, make, instrumentOf } = Pregao;
  const LENGTH = 80;                                 // lines kept
  const role = (name) => (has(`role_${name}`) ? T(`role_${name}`) : name);
  const word = (family, name) => {
    const key = `${family}_${name.replaceAll(" ", "_")}`;
    return has(key) ? T(key) : name;
  };

  /* ---- why, in words. A strategy that explains itself by features says of each "words (name, +0.31)", once in its
   * reason and once as name and weight: here it is told once, in words, with its weight as a bar for or against. */
  function clauses(row) {
    let rest = row.reason ?? "";
    const found = [];
    for (const [name, weight] of row.top ?? []) {
      const mark = ` (${name}, ${weight < 0 ? "-" : "+"}${Math.abs(weight).toFixed(2)})`;
      const end = rest.indexOf(mark);
      if (end < 0) return null;
      const begin = Math.max(rest.lastIndexOf("; ", end), rest.lastIndexOf(": ", end));
      const words = rest.slice(begin < 0 ? 0 : begin + 2, end);
      const same = found.find((one) => one.words === words);    // journals of before tell the same words twice
      if (same) same.weight += weight; else found.push({ name, weight, words });
      rest = rest.slice(end + mark.length);
    }
    return found.length ? found.sort((one, other) => Math.abs(other.weight) - Math.abs(one.weight)) : null;
  }
  const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
  Pregao.reasons = (row) => {
    const found = clauses(row);
    if (!found) return row.reason ? [make("span", { class: "why" }, capital(told(row.reason)))] : [];
    const most = Math.max(...found.map(({ weight }) => Math.abs(weight)));
    return [make("ul", { class: "reasons" }, ...found.map(({ name, weight, words }) =>
      make("li", { title: `${name} ${format.signedMoney(weight)}`, "data-sign": Math.sign(weight) },
        make("span", { class: "weight", style: `--part:${Math.round(Math.abs(weight) / most * 100)}%`, role: "img",
          "aria-label": T(weight > 0 ? "speaks_for" : "speaks_against") }),
        make("span", { class: "clause" }, capital(told(words))))))];
  };

  parts.decisions = function decisions(root) {
    const list = root.querySelector("[data-part=decisions] ol");
    const empty = root.querySelector("[data-part=decisions] .pg-empty");
    let queue = [];
    const bounds = new Set();                        // orders that close a position because its time is over
    const trips = new Map();                         // of each instrument the line of the entry that is open: {line, then, begun, parts, result}

    const when = (row) => make("time", { title: `${format.time(row.ts)} UTC` }, format.moment(row.ts));
    const of = (row) => (row.symbol ? make("span", { class: "of" }, row.symbol) : null);   // where there are several
    const head = (row, tone, words) => [when(row), of(row), make("b", { class: `tag ${tone}` }, words)];
    function thought(row, session) {
      const { quote } = session.instrument;
      const tone = { enter: "enter", exit: "exit" }[row.action] ?? "wait";
      const line = make("li", { class: tone },
        ...head(row, tone, T(tone === "wait" && row.held ? "act_hold" : tone === "enter" && row.side === "short" ? "act_short" : `act_${row.action}`)));
      if (Number.isFinite(row.p)) {
        line.append(make("span", { class: "odds", title: T("probability") },
          make("meter", { min: 0, max: 1, value: row.p, "aria-label": T("probability") }), format.percent(row.p * 100, 0)));
      }
      if (Number.isFinite(row.ev)) {
        const money = row.ev * session.entry_value;
        line.append(make("span", { class: "ev", "data-sign": Math.sign(money), title: T("expects_long") }, T("expects", { amount: `${format.signedMoney(money)} ${quote}` })));
      }
      if (tone !== "wait" || !Number.isFinite(row.p)) line.append(...Pregao.reasons(row));
      else line.title = row.reason ? capital(told(row.reason)) : "";                  // the figures say it
      if (tone !== "wait") {
        const left = row.limit ? T("ev_limited", { limit: word("limit", row.limit), left: format.percent((row.left ?? 0) * 100, 0) }) : "";
        const then = make("span", { class: "then" }, !row.acted && row.why ? T("not_done", { why: word("why", row.why) }) : "", left && " ", left);
        line.append(then);
        if (tone === "enter" && (row.acted || row.why === "approval")) trips.set(row.b ?? 0, { line, then, begun: null, parts: new Map(), result: null });
      }
      return line;
    }
    /* What an entry came to is told at the decision that made it; without it in sight, on a line of its own. */
    function filled(row, session) {
      const decimals = instrumentOf(session, row).price_decimals;
      const entry = row.role === "entry";
      const why = bounds.has(row.id) ? T("role_horizon") : role(row.role);
      const words = (value) => {
        const price = format.price(value, decimals);
        return entry ? T(row.side > 0 ? "ev_fill_entry" : "ev_fill_short", { price }) : T("ev_fill_exit", { price, why });
      };
      const result = (node) => {
        node.dataset.sign = Math.sign(row.net);
        node.textContent = format.signedMoney(row.net);
        return node;
      };
      const trip = trips.get(row.b ?? 0);
      if (!trip || (!entry && trip.begun === null)) {
        return make("li", { class: "event" }, when(row), of(row), make("span", {}, words(row.price)), entry ? null : result(make("b", { class: "result" })));
      }
      trip.begun ??= row.ts;
      const part = trip.parts.get(row.id) ?? { text: document.createTextNode(""), quantity: 0, value: 0 };
      part.quantity += row.qty;                      // an order that fills in parts has one price, their mean
      part.value += row.qty * row.price;
      const told = words(part.value / part.quantity);
      part.text.data = entry ? told : ` → ${told}, ${T("after", { time: format.span(row.ts - trip.begun) })}`;
      if (!trip.parts.has(row.id)) {
        if (entry && trip.then.textContent) trip.then.append(" ");
        trip.then.append(part.text);
        trip.parts.set(row.id, part);
      }
      if (entry) return null;
      if (trip.result) result(trip.result);
      else trip.line.append(trip.result = result(make("b", { class: "result" })));
      if (row.pos === 0) trips.delete(row.b ?? 0);
      return null;
    }
    /* An entry that came to nothing says so at its decision. */
    function unfilled(row) {
      const trip = trips.get(row.b ?? 0);
      if (trip?.begun !== null) return null;
      trips.delete(row.b ?? 0);
      const why = word("ended", row.reason);
      const words = T("not_done", { why: why === row.reason ? told(row.reason).replace(/\.$/, "") : why });
      trip.then.append(trip.then.textContent ? ` ${words}` : words);
      return null;
    }
    function event(row) {
      let words = T(`ev_${row.k}`);
      if (row.k === "error") words = `${words}: ${row.message ?? ""}`;
      else if (row.k === "paused" && row.by !== "person") words = T("ev_paused_by", { by: word("by", row.by) });
      else if (row.k === "command") words = `${has(row.command) ? T(row.command) : row.command}: ${told(row.outcome)}`;
      else if (row.k === "proposal") {
        words = T(`ev_${row.state}`);
        if (row.state !== "approved" && trips.get(row.b ?? 0)?.begun === null) trips.delete(row.b ?? 0);
      }
      else if (row.k === "risk") words = T("ev_risk", { rule: word("limit", row.rule), reached: format.percent(row.reached * 100) });
      else if (row.k === "model") words = row.reason ? T("ev_model_refused", { n: row.version, why: row.reason }) : T("ev_model", { n: row.version });
      else if (row.k === "missed") words = T("ev_missed", { n: format.number(row.bars, 0) });
      else if (row.k === "feed") words = T(`ev_feed_${row.state}`, { why: row.reason ?? "", n: row.bars ?? (Number.isFinite(row.ms) ? format.number(Math.abs(row.ms), 0) : "") });
      return make("li", { class: "event" }, when(row), of(row), make("span", {}, words));
    }
    const waiting = (row) => row.k === "intent" && row.action === "note";
    function quieted(rows) {                         // of each stretch of waiting the last row of each instrument, with how many there were
      const kept = [];
      const stretch = new Map();                     // instrument -> its place among those kept
      for (const row of rows) {
        const place = waiting(row) ? stretch.get(row.b) : undefined;
        if (!waiting(row)) stretch.clear();
        if (place !== undefined) { kept[place] = { ...row, waits: kept[place].waits + 1 }; continue; }
        if (waiting(row)) stretch.set(row.b, kept.length);
        kept.push(waiting(row) ? { ...row, waits: 1 } : row);
      }
      return kept;
    }
    function waited(symbol = "") {                   // the line of an instrument in the newest stretch of waiting
      let line = list.firstElementChild;
      while (line?.dataset.waits && line.dataset.of !== symbol) line = line.nextElementSibling;
      return line?.dataset.waits ? line : null;
    }
    const EVENTS = ["intent", "fill", "started", "resumed", "paused", "stopped", "finished", "error", "risk", "model", "missed", "feed", "cut"];
    const shown = (row) => (EVENTS.includes(row.k) && row.action !== "wait")   // what it waits for shows itself when it comes
      || (row.k === "command" && row.outcome !== "done")           // what was done shows itself
      || (row.k === "proposal" && row.state !== "open");
    return {
      clear() { queue = []; trips.clear(); bounds.clear(); list.replaceChildren(); empty.hidden = false; },
      add(row) {
        if (row.k === "order" && row.reason === "horizon reached") bounds.add(row.id);
        if (shown(row) || (row.k === "order" && row.role === "entry" && ["cancelled", "rejected"].includes(row.state))) queue.push(row);
      },
      flush(session) {
        if (!queue.length) return;
        for (const row of quieted(queue).slice(-LENGTH)) {
          const line = row.k === "intent" ? thought(row, session) : row.k === "fill" ? filled(row, session) : row.k === "order" ? unfilled(row) : event(row);
          if (!line) continue;
          if (row.waits) {                           // one line for a stretch of waiting, the latest
            const before = waited(row.symbol);
            const waits = row.waits + (before ? Number(before.dataset.waits) : 0);
            before?.remove();
            line.dataset.waits = waits;
            line.dataset.of = row.symbol ?? "";
            if (waits > 1) line.append(make("small", {}, T("waits", { n: format.number(waits, 0) })));
          }
          list.prepend(line);
        }
        queue = [];
        while (list.children.length > LENGTH) list.lastChild.remove();
        empty.hidden = list.children.length > 0;
      },
    };
  };
})();
