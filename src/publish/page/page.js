"use strict";
// Toggles for networks and kinds of lines, and a readout for the pointer and the arrow keys. Without this script the page
// shows everything.
(() => {
  const panels = JSON.parse(document.getElementById("curves").textContent);
  const off = { network: new Set(), kind: new Set() };
  const readout = document.querySelector(".readout");
  const buttons = [...document.querySelectorAll("button[data-switch]")];
  const drawn = [...document.querySelectorAll(".panel [data-network]")];
  document.documentElement.classList.add("scripted");

  const shown = (curve) => !off.network.has(curve.network) && !off.kind.has(curve.kind);

  function update() {
    for (const element of drawn) {
      const { network, kind } = element.dataset;
      element.classList.toggle("off", !shown({ network, kind }));
    }
    for (const button of buttons) {
      const { switch: what, value } = button.dataset;
      if (what !== "all") button.setAttribute("aria-pressed", String(!off[what].has(value)));
    }
    for (const svg of document.querySelectorAll(".panel")) hide(svg);
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      const { switch: what, value } = button.dataset;
      if (what === "all") {
        off.network.clear();
        off.kind.clear();
      } else if (!off[what].delete(value)) {
        off[what].add(value);
      }
      update();
    });
  }

  // Maps a point of a curve to the panel's viewBox; null if it is outside the axes.
  function place(svg, panel, [iteration, error]) {
    const [left, top, width, height] = svg.dataset.box.split(" ").map(Number);
    const across = (iteration - panel.x[0]) / (panel.x[1] - panel.x[0]);
    const up = (error - panel.y[0]) / (panel.y[1] - panel.y[0]);
    if (across < 0 || across > 1 || up < 0 || up > 1) return null;
    return [left + width * across, top + height * (1 - up)];
  }

  function show(svg, panel, curve, index) {
    const point = curve.points[index];
    const [x, y] = place(svg, panel, point);
    const [left, top, , height] = svg.dataset.box.split(" ").map(Number);
    const probe = svg.querySelector(".probe");
    probe.classList.remove("off");
    probe.querySelector("circle").setAttribute("cx", x);
    probe.querySelector("circle").setAttribute("cy", y);
    probe.querySelector("path").setAttribute("d", `M${x} ${top + height}V${y}H${left}`);
    const across = Math.round(point[0]).toLocaleString("en");
    readout.textContent = `${curve.network}, ${curve.what}, ${panel.across} ${across}: ${point[1].toFixed(2)}${panel.unit}`;
  }

  function hide(svg) {
    svg.querySelector(".probe").classList.add("off");
    readout.textContent = "";
  }

  for (const svg of document.querySelectorAll(".panel")) {
    const panel = panels[Number(svg.dataset.panel)];
    // The current curve and the index of its point.
    let at = { curve: null, index: 0 };

    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      let best = null;
      for (const curve of panel.curves.filter(shown)) {
        curve.points.forEach((point, index) => {
          const there = place(svg, panel, point);
          const distance = there ? Math.hypot(there[0] - x, there[1] - y) : Infinity;
          if (distance < 30 && (!best || distance < best.distance)) best = { curve, index, distance };
        });
      }
      if (best) {
        at = best;
        show(svg, panel, best.curve, best.index);
      } else {
        hide(svg);
      }
    });
    svg.addEventListener("pointerleave", () => hide(svg));
    svg.addEventListener("blur", () => hide(svg));

    svg.addEventListener("keydown", (event) => {
      const curves = panel.curves.filter((curve) => shown(curve) && curve.points.some((p) => place(svg, panel, p)));
      if (event.key === "Escape") return hide(svg);
      if (!event.key.startsWith("Arrow") || !curves.length) return;
      event.preventDefault();
      let which = curves.indexOf(at.curve);
      const visible = (curve) => curve.points.map((p, i) => i).filter((i) => place(svg, panel, curve.points[i]));
      if (which < 0) {
        which = 0;
        at.index = visible(curves[0])[0];
      } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
        const iteration = curves[which].points[at.index][0];
        which = (which + (event.key === "ArrowDown" ? 1 : curves.length - 1)) % curves.length;
        const points = curves[which].points;
        // The other curve's point nearest in iterations.
        at.index = visible(curves[which]).reduce((a, b) =>
          Math.abs(points[b][0] - iteration) < Math.abs(points[a][0] - iteration) ? b : a);
      } else {
        const there = visible(curves[which]);
        const next = there.indexOf(at.index) + (event.key === "ArrowRight" ? 1 : -1);
        at.index = there[Math.max(0, Math.min(there.length - 1, next))];
      }
      at = { curve: curves[which], index: at.index };
      show(svg, panel, at.curve, at.index);
    });
  }
})();
