// Two sets in the plane, a line and a bent curve, and an iterate that goes to and fro between them.
// uses _chart.js
// uses _idea.js
if (!customElements.get("scalinv-idea-projections")) {
  const SAMPLES = 720, NEWTON = 8, LOWEST = -6;

  customElements.define("scalinv-idea-projections", class extends window.ScalinvIdea {
    // curve: centre, lobes, depth, tilt; start on the line y = 0; momentum of the accelerated rule
    build({ curve, start, steps, momentum, seen }) {
      Object.assign(this, { curve, steps, momentum });
      this.samples = Array.from({ length: SAMPLES }, (_, k) => (2 * Math.PI * k) / SAMPLES);
      const whole = [...this.samples, 0].map((angle) => this.point(angle)[0]);
      const plane = this.chart({ title: "Two sets, and an iterate between them", ...seen,
        equal: true });
      const label = (text, px, py) => plane.write(text, plane.X(px), plane.Y(py), "");
      plane.line("truth")(whole.map((p) => p[0]), whole.map((p) => p[1]));
      plane.line("truth thick")(seen.x, [0, 0]);
      label("fitting", seen.x[0] + 0.05, 1.55);
      label("consistent", seen.x[0] + 0.05, -0.22);
      [this.way, this.gap] = [plane.line("attempt"), plane.line("thick")];
      [this.first, this.now] = [plane.dot("", 3), plane.dot("attempt", 4)];
      plane.root.style.cursor = "pointer";
      plane.root.onclick = (event) => this.begin(plane.place(event)[0]);
      const powers = Array.from({ length: 1 - LOWEST }, (_, k) => [-k, k ? `1e−${k}` : "1"]);
      const fall = this.chart({ title: "Distance between the two sets", x: [0, steps],
        y: [LOWEST, 0], yMarks: powers, height: 300, xLabel: "step",
        xMarks: [0, 20, 40, 60].filter((k) => k <= steps).map((k) => [k, `${k}`]) });
      [this.falling, this.reached] = [fall.line("thick"), fall.dot("attempt", 5)];

      this.legend(["truth", "the two sets"], ["attempt", "the iterate's way"],
        ["thick", "the distance left"]);
      this.start = this.slider("start on the line", { min: seen.x[0], max: seen.x[1], step: 0.05,
        value: start }, (x) => this.number(x, 2));
      this.start.addEventListener("input", () => this.begin(+this.start.value));
      this.step = this.slider("step", { min: 0, max: steps, value: 0 }, (k) => `${k}`);
      this.player(this.step, 8);
      const box = this.add("label", "box", this.controls);
      this.faster = this.add("input", "", box);
      this.faster.type = "checkbox";
      this.faster.onchange = () => this.begin(+this.start.value);
      box.append(`momentum ${momentum}`);
      this.iterate();
    }

    begin(x) {
      this.pause();
      this.start.turnTo(x);
      this.step.turnTo(0);
      this.iterate();
      this.draw();
    }

    // The point of the curve at an angle, and its first two derivatives by the angle.
    point(angle) {
      const { centre, lobes, depth, tilt } = this.curve, turn = lobes * (angle - tilt);
      const r = 1 + depth * Math.cos(turn), r1 = -depth * lobes * Math.sin(turn);
      const r2 = -depth * lobes ** 2 * Math.cos(turn);
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      return [[centre[0] + r * cos, centre[1] + r * sin], [r1 * cos - r * sin, r1 * sin + r * cos],
        [(r2 - r) * cos - 2 * r1 * sin, (r2 - r) * sin + 2 * r1 * cos]];
    }

    // The point of the curve that is nearest to (x, 0): the best of many, improved by Newton.
    nearest(x) {
      const away = (angle) => {
        const [px, py] = this.point(angle)[0];
        return (px - x) ** 2 + py ** 2;
      };
      let angle = this.samples.reduce((best, next) => (away(next) < away(best) ? next : best));
      for (let k = 0; k < NEWTON; k++) {
        const [p, p1, p2] = this.point(angle), d = [p[0] - x, p[1]];
        const slope = d[0] * p1[0] + d[1] * p1[1];
        const bend = p1[0] ** 2 + p1[1] ** 2 + d[0] * p2[0] + d[1] * p2[1];
        if (bend > 0) angle -= slope / bend;
      }
      return this.point(angle)[0];
    }

    // c <- the nearest point of the line to the nearest point of the curve to t; momentum moves t.
    iterate() {
      const momentum = this.faster.checked ? this.momentum : 0;
      let t = +this.start.value, c = t;
      this.iterates = [t];
      this.path = []; // three points a step: t, the nearest of the curve, c
      for (let k = 0; k < this.steps; k++) {
        const fitting = this.nearest(t), old = c;
        c = fitting[0];
        this.path.push([t, 0], fitting, [c, 0]);
        this.iterates.push(c);
        t = c + momentum * (c - old);
      }
      this.distances = this.iterates.map((x) => {
        const [px, py] = this.nearest(x);
        return Math.hypot(px - x, py);
      });
    }

    draw() {
      const k = +this.step.value, x = this.iterates[k], near = this.nearest(x);
      const way = this.path.slice(0, 3 * k), ks = this.distances.map((_, i) => i);
      const levels = this.distances.map((d) => Math.max(Math.log10(d), LOWEST));
      this.way(way.map((p) => p[0]), way.map((p) => p[1]));
      this.gap([x, near[0]], [0, near[1]]);
      this.first(this.iterates[0], 0);
      this.now(x, 0);
      this.falling(ks.slice(0, k + 1), levels.slice(0, k + 1));
      this.reached(k, levels[k]);
      this.say(`Start ${this.number(+this.start.value, 2)}, step ${k}: the distance is `
        + `${this.written(this.distances[k])}. ${this.verdict(k)}`);
    }

    written(distance) {
      return distance < 10 ** LOWEST ? `below 1e−${-LOWEST}` : distance.toPrecision(3);
    }

    verdict(k) {
      if (this.distances[k] < 1e-3) return "The iterate has arrived where the two sets meet.";
      if (k < 5) return "";
      const fall = 1 - this.distances[k] / this.distances[k - 5];
      if (Math.abs(fall) < 0.002) return "The distance no longer falls: the iterate is stuck.";
      return fall < 0 ? "The distance has grown over the last five steps." : "The distance falls.";
    }
  });
}
