/* A proposal that waits for the person: an entry, its chance, what it expects, and the bars left to answer. */
(() => {
  "use strict";
  const parts = window.Pregao.parts ??= {};
  if (parts.proposal) return;
  const { T, format, put, make, command } = Pregao;

  parts.proposal = function proposal(root) {
    const box = root.querySelector("[data-part=proposal]");
    return (session) => {
      const open = session?.proposal ?? null;
      const shown = box.dataset.id ?? "";
      if (!open) { box.hidden = true; delete box.dataset.id; box.replaceChildren(); return; }
      if (shown === String(open.id)) { put(box.querySelector("[data-part=left]"), T(open.bars === 1 ? "proposal_left_1" : "proposal_left", { n: open.bars })); return; }
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
          make("b", {}, `${T("proposal", { side, symbol: instrument.symbol })} ${T("proposal_size", { amount: `${format.money(session.entry_value)} ${instrument.quote}` })}`),
          odds ? make("span", {}, odds) : null, ...why, make("span", { "data-part": "left" }, T(open.bars === 1 ? "proposal_left_1" : "proposal_left", { n: open.bars }))),
        make("button", { type: "button", class: "good", onclick: answer("approve") }, T("accept")),
        make("button", { type: "button", class: "plain", onclick: answer("reject") }, T("refuse")));
      box.hidden = false;
    };
  };
})();
