/* The Flows page: what runs and ran, what runs by itself and when, a training on demand; useful while Prefect is away. */
(() => {
  "use strict";
  if (Pregao.flowsPage) return;
  const { T, format, make, withCode, request } = Pregao;
  const { empty, header, cell } = Pregao.page;
  const { pill, panel, loading, broken, outside, watch, form, say } = Pregao.room;
  const { status, name, lasted, address, away, asking, train } = Pregao.runs;
  const LOOK = 4000;
  const WORK = ["ingest", "retrain", "monitor", "paper-trade", "sweep"];

  /* When, in words, of the schedules that Pregão makes; else as it is written. */
  function when({ cron, seconds }) {
    if (!cron) return seconds ? T("every_span", { time: format.span(seconds) }) : "–";
    const [minute, hour, ...days] = cron.split(" ");
    if (days.join("") !== "***" || !/^\d+$/.test(minute)) return cron;
    const at = minute.padStart(2, "0");
    if (hour === "*") return T("every_hour", { minute: at });
    if (/^\*\/\d+$/.test(hour)) return T("every_hours", { n: hour.slice(2), minute: at });
    return /^\d+$/.test(hour) ? T("every_day", { time: `${hour.padStart(2, "0")}:${at}` }) : cron;
  }

  Pregao.flowsPage = (root) => {
    const runs = make("div", { "data-part": "runs" }, loading());
    const plan = make("div", { "data-part": "schedules" }, loading());
    const links = make("span", { class: "acts" });
    const down = make("div", { class: "pg-note warn", role: "status", "data-part": "down", hidden: "" });
    const side = make("div", {});
    const all = make("input", { type: "checkbox", id: "every-flow", onchange: () => { drawn = ""; look(); } });
    root.replaceChildren(make("div", { class: "pg-head" }, make("h2", {}, T("flows")), links), make("p", { class: "pg-lead" }, T("flows_lead")), down,
      make("div", { class: "pg-with-side" }, make("div", {}, panel(T("runs"), make("p", { class: "pg-check" }, all, make("label", { for: "every-flow" }, T("runs_all"))), runs)), make("div", {}, plan, side)));
    let [drawn, planned] = ["", ""];
    let set = 0;                                     // how often a schedule was set: what was asked before is not so any more
    let health = null;

    function table(list) {
      if (!list.length) return make("p", { class: "pg-empty" }, T("no_runs"));
      return make("div", { class: "pg-scroll", tabindex: "0", role: "region", "aria-label": T("runs") }, make("table", { class: "pg-table pg-runs" }, header(["col_flow"], ["col_status"], ["col_began"], ["col_lasted", 1], ["col_said"]),
        make("tbody", {}, ...list.map((run) => make("tr", { "data-run": run.id },
          make("td", {}, make("a", { href: address(health, run.id), target: "_blank", rel: "noopener noreferrer" }, name(run.flow), make("small", {}, run.name))),
          make("td", {}, status(run)), cell(run.started ? format.local(run.started) : "–"), cell(lasted(run), { class: "n" }),
          make("td", { class: "said" }, make("span", { class: run.status === "failed" ? "bad" : "" }, ...withCode(run.message))))))));
    }
    function schedule(one) {
      const id = `schedule-${one.flow}`;
      const box = make("input", { type: "checkbox", role: "switch", id, ...(one.on ? { checked: "" } : {}), onchange: async () => {
        box.disabled = true;
        set += 1;
        try {
          const list = await asking(request("/api/flows/schedules", { deployment: one.deployment, on: box.checked }));
          set += 1;
          planned = "";
          plans(list);
          say(T(box.checked ? "schedule_is_on" : "schedule_is_off", { flow: name(one.flow) }));
        } catch (error) { say(`${T("failed")}: ${error.message}`, true); box.checked = one.on; box.disabled = false; }
      } });
      return make("li", { "data-schedule": one.deployment }, box, make("div", {}, make("label", { for: id }, name(one.flow)),
        make("p", { class: "pg-hint" }, T(`does_${one.flow}`)),
        make("p", { class: "pg-hint when" }, when(one), " · ", one.on ? T("next_run", { when: one.next ? format.local(one.next) : T("soon") }) : T("schedule_off"))));
    }
    function plans(list) {
      const now = JSON.stringify(list);
      if (now === planned) return;                   // a switch that is pressed meanwhile is still there
      planned = now;
      plan.replaceChildren(panel(T("schedules"), list.some((one) => !one.served) ? make("p", { class: "pg-note warn" }, ...withCode(T("no_runner_flows"))) : null,
        list.length ? make("ul", { class: "pg-schedules" }, ...list.map(schedule)) : make("p", { class: "pg-hint" }, ...withCode(T("no_schedules")))));
    }
    async function look() {
      const mine = set;
      try {
        health ??= await request("/api/health");
        const query = all.checked ? "" : `&${WORK.map((flow) => `flow=${flow}`).join("&")}`;
        const [list, schedules] = await Promise.all([request(`/api/flows/runs?limit=25${query}`), request("/api/flows/schedules")]);
        if (mine !== set) return;
        down.hidden = true;
        links.replaceChildren(outside(health.prefect_address, T("prefect")));
        const now = JSON.stringify([list, schedules]);
        if (now === drawn) return;
        drawn = now;
        const focused = document.activeElement?.id;
        runs.replaceChildren(table(list));
        plans(schedules);
        if (focused) document.getElementById(focused)?.focus();
      } catch (error) {
        const told = away(error);
        down.hidden = false;
        if (down.textContent !== told.message) down.replaceChildren(...withCode(told.message));
        if (!drawn) { runs.replaceChildren(empty(T("flows_unseen"), T("flows_still"))); plan.replaceChildren(); planned = ""; }
      }
    }

    async function trainForm() {
      const stored = await request("/api/instruments");
      const series = stored.flatMap((instrument) => instrument.series.map(({ timeframe }) => [`${instrument.key} ${timeframe}`, `${instrument.symbol} ${timeframe}`]));
      if (!series.length) return panel(T("retrain"), make("p", { class: "pg-hint" }, ...withCode(T("retrain_no_data"))));
      const place = make("div", { "data-part": "run" });
      const made = form({
        submit: T("retrain_do"),
        fields: [{ name: "instrument", label: T("col_series"), kind: "select", options: series, hint: T("retrain_hint") }],
        send: async ({ instrument: chosen }) => {
          const [instrument, timeframe] = chosen.split(/ (?=\S+$)/);
          await train(place, instrument, timeframe, look);
        },
      });
      return panel(T("retrain"), made.node, place);
    }

    watch(look, LOOK);
    trainForm().then((node) => side.replaceChildren(node), (error) => side.replaceChildren(broken(error, () => location.reload())));
  };
})();
