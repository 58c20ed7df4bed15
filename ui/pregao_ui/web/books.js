/* A session of several instruments: above the chart a tab for each of them with its price, position and open result, and
 * a table of what is held. A session of one has neither. */
(() => {
  "use strict";
  const parts = window.Pregao.parts ??= {};
  if (parts.books) return;
  const { T, format, put, make, traded, command } = Pregao;
  const signed = (quantity, instrument) => `${quantity > 0 ? "+" : "\u2212"}${format.quantity(Math.abs(quantity), instrument.quantity_decimals)}`;
  const tint = (node, value) => { if (value === null) delete node.dataset.sign; else node.dataset.sign = Math.sign(value); };

  /* ---- the tabs; `look` is told which one is chosen */
  parts.books = function books(root, look) {
    const panel = root.querySelector(".pg-chart");
    let list = null;
    let tabs = [];

    /* The chosen one stays in the address, for a reload and for a link. */
    const NAME = "instrument";
    const linked = () => new URLSearchParams(location.search).get(NAME);
    function keep(key) {
      const address = new URL(location);
      if (key) address.searchParams.set(NAME, key); else address.searchParams.delete(NAME);
      history.replaceState(history.state, "", address);
    }
    function show(number) {
      tabs.forEach(({ head }, n) => {
        head.setAttribute("aria-selected", String(n === number));
        head.tabIndex = n === number ? 0 : -1;
      });
      panel.setAttribute("aria-labelledby", tabs[number].head.id);
      tabs[number].head.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    function choose(number) {
      if (tabs[number].head.getAttribute("aria-selected") === "true") return;
      show(number);
      keep(tabs[number].instrument.key);
      look(number);
    }
    function press(event, number) {
      const to = { ArrowRight: number + 1, ArrowLeft: number - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = (to + tabs.length) % tabs.length;
      choose(next);
      tabs[next].head.focus();
    }
    function tab(instrument, number) {
      const cells = Object.fromEntries(["price", "held", "open"].map((name) => [name, make("span", { class: name }, "–")]));
      const head = make("button", {
        type: "button", role: "tab", id: `tab-book-${number}`, "aria-controls": "pane-chart", title: instrument.key,
        onclick: () => choose(number), onkeydown: (event) => press(event, number),
      }, make("b", {}, instrument.symbol), ...Object.values(cells));
      return { instrument, head, ...cells };
    }
    return {
      clear() {
        if (!list) return;
        list.remove();
        [list, tabs] = [null, []];
        for (const name of ["id", "role", "aria-labelledby"]) panel.removeAttribute(name);
        keep("");
      },
      begin(session) {                               // the place of the instrument to begin with
        if (!session.also.length) return 0;
        tabs = traded(session).map(tab);
        list = make("div", { class: "pg-books", role: "tablist", "aria-label": T("instruments") }, ...tabs.map(({ head }) => head));
        panel.before(list);
        panel.id = "pane-chart";
        panel.setAttribute("role", "tabpanel");
        const number = Math.max(tabs.findIndex(({ instrument }) => instrument.key === linked()), 0);
        show(number);
        return number;
      },
      draw(standing) {
        if (!list) return;
        standing.forEach(({ instrument, c, pos, upnl }, n) => {
          const { price, held, open } = tabs[n];
          put(price, Number.isFinite(c) ? format.price(c, instrument.price_decimals) : "–");
          put(held, pos ? signed(pos, instrument) : T("flat"));
          put(open, pos ? format.signedMoney(upnl) : "");
          tint(held, pos || null);
          tint(open, pos ? upnl : null);
        });
      },
    };
  };

  /* ---- what is held, an instrument a row, each with a button that closes it alone */
  parts.holdings = function holdings(place) {
    const HEAD = [["col_instrument"], ["col_qty", 1], ["col_entry", 1], ["pos_price", 1], ["pos_open", 1], ["pos_exits", 1], [""]];
    let table = null;
    let lines = [];

    function line(session, instrument) {
      const cells = ["qty", "entry", "price", "open", "exits"].map((name) => [name, make("td", { class: `n ${name}` })]);
      const close = make("button", {
        type: "button", class: "small", title: T("close_one_long"), "aria-label": `${T("close_one")} ${instrument.symbol}`,
        onclick: async () => {
          close.disabled = true;
          if (!await command(session.id, "flatten", { instrument: instrument.key })) close.disabled = false;
        },
      }, T("close_one"));
      const row = make("tr", { hidden: "" }, make("th", { scope: "row" }, instrument.symbol), ...cells.map(([, cell]) => cell), make("td", {}, close));
      return { row, close, ...Object.fromEntries(cells) };
    }
    return {
      clear() { table?.remove(); [table, lines] = [null, []]; },
      draw(standing, session) {
        if (!table) {
          lines = standing.map(({ instrument }) => line(session, instrument));
          table = make("table", { class: "pg-table pg-holdings" },
            make("thead", {}, make("tr", {}, ...HEAD.map(([key, n]) => make("th", { scope: "col", class: n ? `n ${key.slice(4)}` : "" }, key ? T(key) : "")))),
            make("tbody", {}, ...lines.map(({ row }) => row)));
          place.prepend(table);
        }
        const active = ["running", "paused"].includes(session.status);
        standing.forEach(({ instrument, c, pos, ent, upnl, tp, sl }, n) => {
          const { row, close, qty, entry, price, open, exits } = lines[n];
          row.hidden = !pos;
          close.hidden = !active;
          if (!pos) { close.disabled = false; return; }
          const shown = (value) => (Number.isFinite(value) ? format.price(value, instrument.price_decimals) : "–");
          put(qty, signed(pos, instrument));
          tint(qty, pos);
          put(entry, shown(ent));
          put(price, shown(c));
          put(open, format.signedMoney(upnl));
          tint(open, upnl);
          put(exits, `${shown(tp)} / ${shown(sl)}`);
        });
        table.hidden = standing.every(({ pos }) => !pos);
      },
    };
  };
})();
