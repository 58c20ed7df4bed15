/* Runs of flows: one that was just asked for is followed to its end; others are rows of a table. */
(() => {
  "use strict";
  if (Pregao.runs) return;
  const { T, has, format, make, withCode, request } = Pregao;
  const { pill } = Pregao.room;
  const TONES = { waiting: "warn", running: "warn", done: "good", failed: "bad", cancelled: "" };
  const LOOK = 1000;

  const status = (run) => pill(T(`run_${run.status}`), TONES[run.status]);
  const name = (flow) => {
    const key = `flow_${flow.replace(/[- ]/g, "_")}`;
    return has(key) ? T(key) : flow;
  };
  /* A step by its name; one that is done for several names the one that it is for at its end. */
  function step(named) {
    const words = named.split(" ");
    for (let n = words.length; n; n--) {
      const key = `step_${words.slice(0, n).join(" ")}`;
      if (has(key)) return [T(key), ...words.slice(n)].join(" ");
    }
    return named;
  }
  const lasted = (run) => (run.started ? format.span((run.ended ?? Date.now() / 1000) - run.started) : "–");
  const address = (health, id) => `${health.prefect_address}/runs/flow-run/${id}`;
  /* Away is a state of the page, not an error of the person: said in their language, with what still works. */
  const away = (error) => (error.status === 503 && /Prefect/.test(error.message) ? new Error(T("flows_down")) : error);
  const asking = (promise) => promise.catch((error) => { throw Object.assign(away(error), { fields: error.fields }); });

  /* Follow a run in `place` until it has ended; `ended(run)` may return what to say of its report. */
  async function follow(place, id, ended) {
    const bar = make("progress", { max: 100, "aria-label": T("progress") });
    const said = make("p", { role: "status", "aria-live": "polite" });
    const steps = make("ol", { class: "pg-steps" });
    const stop = make("button", { type: "button", class: "small", onclick: async () => { stop.disabled = true; await request(`/api/flows/runs/${id}/cancel`, {}).catch(() => {}); } }, T("cancel_run"));
    place.replaceChildren(make("div", { class: "pg-run", "data-run": id }, said, bar, steps, stop));
    for (;;) {
      let run;
      try { run = await request(`/api/flows/runs/${id}`); } catch (error) {
        said.textContent = away(error).message;              // the server may come back
        await new Promise((next) => { setTimeout(next, 3 * LOOK); });
        if (!place.isConnected) return;
        continue;
      }
      const done = run.steps.filter((one) => one.status === "done").length;
      if (run.progress !== null) bar.value = run.progress; else if (run.status === "running" && done) bar.value = Math.min(95, done * 20); else bar.removeAttribute("value");
      said.replaceChildren(status(run), ` ${T(`run_said_${run.status}`, { time: lasted(run) })}`);
      steps.replaceChildren(...run.steps.map((one) => make("li", { "data-status": one.status }, step(one.name))));
      if (["done", "failed", "cancelled"].includes(run.status)) {
        bar.remove();
        stop.remove();
        const told = run.status === "done" ? await ended(run) : null;
        const words = told ?? run.message;
        place.firstChild.append(make("p", { class: `pg-form-verdict ${run.status === "done" ? "good" : run.status === "failed" ? "bad" : ""}`, role: "status" }, ...(typeof words === "string" ? withCode(words) : [words])));
        if (run.status !== "done") await ended(run);
        return;
      }
      await new Promise((next) => { setTimeout(next, LOOK); });
      if (!place.isConnected) return;
    }
  }

  /* Ask for a training and follow it; at its end `place` says what the gate said, and `after()` is called. */
  async function train(place, instrument, timeframe, after) {
    const { run } = await asking(request("/api/flows/retrains", { instrument, timeframe }));
    follow(place, run, (ended) => {
      after(ended);
      const { gate, version, name: model } = ended.report ?? {};
      if (!gate) return null;
      const why = gate.reasons.filter((reason) => !reason.passed).map((reason) => (has(`short_${reason.name}`) ? T(`short_${reason.name}`) : reason.name)).join(", ");
      return make("span", {}, T(gate.passed ? "retrain_passed" : "retrain_refused", { n: version, why }), " ", make("a", { href: `/models?model=${encodeURIComponent(model)}` }, T("see_model")));
    });
  }

  Pregao.runs = { status, name, lasted, address, away, asking, follow, train };
})();
