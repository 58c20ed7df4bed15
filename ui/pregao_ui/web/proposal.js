/* The proposals that wait for the person, one an instrument at most: an entry, its chance, what it expects, and the bars
 * left to answer. */
(() => {
  "use strict";
  const parts = window.Pregao.parts ??= {};
  if (parts.proposal) return;
  const { T, format, put, make, command } = Pregao;

  parts.proposal = function proposal(root) {
    const first = root.querySelector("[data-part=proposal]");
    const boxes = [first];                           // those after the first are there while several wait

    function show(box, open, session) {
      const left = T(open.bars === 1 ? "proposal_left_1" : "proposal_left", { n: open.bars });
      if (box.dataset.id === String(open.id)) { put(box.querySelector("[data-part=left]"), left); return; }
      const { instrument } = session;
      const side = T(open.side).toLowerCase();
      const answer = (kind) => async () => {
        for (const button of box.querySelectorAll("button")) button.disabled = true;
        if (!await command(session.id, kind, { proposal: open.id })) for (const button of box.querySelectorAll("button")) button.disabled = false;
      };
      const odds = Number.isFinite(open.p)
        ? T("proposal_odds", { p: format.percent(open.p * 100, 0), amount: Number.isFinite(open.ev) ? `${format.signedMoney(open.ev * session.entry_value)} ${instrument.quote}` : "–" })
        : "";
      const why = Pregao.reasons(open);
      box.dataset.id = open.id;
      box.replaceChildren(
        make("div", {},
          make("b", {}, `${T("proposal", { side, symbol: open.symbol ?? instrument.symbol })} ${T("proposal_size", { amount: `${format.money(session.entry_value)} ${instrument.quote}` })}`),
          odds ? make("span", {}, odds) : null, ...why, make("span", { "data-part": "left" }, left)),
        make("button", { type: "button", class: "good", onclick: answer("approve") }, T("accept")),
        make("button", { type: "button", class: "plain", onclick: answer("reject") }, T("refuse")));
      box.hidden = false;
    }
    return (session) => {
      const waiting = session?.proposals ?? [];
      while (boxes.length > Math.max(waiting.length, 1)) boxes.pop().remove();
      waiting.forEach((open, n) => {
        if (!boxes[n]) boxes[n - 1].after(boxes[n] = make("div", { class: "pg-proposal", role: "alert" }));
        show(boxes[n], open, session);
      });
      if (!waiting.length) { first.hidden = true; delete first.dataset.id; first.replaceChildren(); }
    };
  };
})();
