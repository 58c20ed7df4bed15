/* The top of the live view: which session, its state, what can be done with it, and what to do when nothing moves. */
(() => {
  "use strict";
  const parts = window.Pregao.parts ??= {};
  if (parts.bar) return;
  const { T, format, put, make, request, stale, traded, symbols, command, selection } = Pregao;
  const title = (session) => `${symbols(session)} · ${session.timeframe} · ${session.strategy}`;

  /* ---- the session bar: which session, its state, what can be done with it */
  parts.bar = function bar(root) {
    const select = root.querySelector("[data-part=choice]");
    let session = null;
    let listed = "";

    select.addEventListener("change", () => selection.select(select.value));
    root.querySelector("[data-do=new]").addEventListener("click", () => {
      selection.select(null);
      document.querySelector("#ticket")?.scrollIntoView({ block: "start" });
      document.querySelector("#ticket input")?.focus({ preventScroll: true });
    });
    for (const button of root.querySelectorAll("[data-command]")) {
      button.addEventListener("click", async () => {
        const kind = button.dataset.command;
        if (kind === "stop" && !confirm(T("stop_sure"))) return;
        button.disabled = true;
        await command(session.id, kind);
        button.disabled = false;
      });
    }
    async function list() {
      const every = await request("/api/sessions").catch(() => null);
      if (!every) return;
      const known = every.map((s) => [s.id, `${title(s)} · ${s.id}`, s.status]);
      const now = JSON.stringify([known, selection.id]);
      if (now === listed || document.activeElement === select) return;
      listed = now;
      select.replaceChildren(make("option", { value: "" }, T("new_session")),
        ...known.map(([id, text, status]) => make("option", { value: id }, `${text} · ${T(`status_${status}`)}`)));
      select.value = selection.id ?? "";
    }
    function show(next) {
      session = next;
      const status = session?.status ?? "";
      root.dataset.status = status;
      const pill = root.querySelector("[data-bind=status]");
      put(pill, status ? T(`status_${status}`) : "");
      pill.dataset.status = status;
      const money = root.querySelector("[data-part=money]");
      money.hidden = !session || session.money === "simulated";
      for (const badge of [money, document.querySelector("#topbar .money")]) Pregao.money(badge, session);
      root.querySelector("[data-part=synthetic]").hidden = !(session && traded(session).some(({ synthetic }) => synthetic));
      const can = {
        start: ["created", "failed"].includes(status) || stale(session), pause: status === "running", resume: status === "paused",
        flatten: ["running", "paused"].includes(status) && (session.position !== 0 || session.books.some(({ pos }) => pos)),
        stop: ["running", "paused", "created"].includes(status),
      };
      for (const button of root.querySelectorAll("[data-command]")) button.hidden = !can[button.dataset.command];
    }
    return { show, list };
  };

  /* ---- what the page says above the numbers: waiting, silent, failed, or nothing chosen */
  parts.notice = function notice(root, session, otherwise = "") {
    const node = root.querySelector("[data-part=notice]");
    let text = otherwise;
    let tone = "";
    const told = Object.values(session?.notices ?? {}).map(Pregao.refusal);
    if (session?.status === "failed" || (session?.status === "paused" && session.error)) [text, tone] = [session.error ? Pregao.refusal(session.error) : T("status_failed"), "bad"];
    else if (told.length) [text, tone] = [told.join(" "), "warn"];
    else if (session?.status === "created") text = T("created_hint");
    else if (stale(session)) [text, tone] = [T("silent", { time: format.span(Date.now() / 1000 - session.heartbeat) }), "warn"];
    if (node.dataset.text !== text) node.replaceChildren(...Pregao.withCode(text));
    node.dataset.text = text;
    node.hidden = !text;
    node.className = `pg-notice ${tone}`;
  };
})();
