// One coefficient as time runs along its row: an arrow whose length is the modulus.
// uses _chart.js
// uses _idea.js
if (!customElements.get("scalinv-idea-rotation")) {
  const TRAIL = 24; // points of the arrow's way that stay on show
  const angleOf = (re, im) => Math.round(((Math.atan2(im, re) * 180) / Math.PI + 360) % 360) % 360;

  customElements.define("scalinv-idea-rotation", class extends window.ScalinvIdea {
    // re, im: the coefficients; rate in samples per second; hertz: the row's frequency
    build({ re, im, rate, hertz }) {
      this.c = [re, im];
      this.times = re.map((_, k) => (1000 * k) / rate);
      const last = this.times[re.length - 1], ticks = [-1, 0, 1].map((v) => [v, this.number(v, 0)]);
      this.plane = this.chart({ title: "The coefficient, a complex number", x: [-1.65, 1.65],
        y: [-1.1, 1.1], xMarks: ticks, yMarks: ticks, xLabel: "real part", equal: true });
      this.ring = this.plane.put("circle", { class: "dashed", cx: this.plane.X(0),
        cy: this.plane.Y(0) });
      this.trail = this.plane.line("attempt pale");
      this.arrow = this.plane.line("attempt thick");
      this.tip = this.plane.dot("attempt", 5);
      const row = this.chart({ title: `Its row, ${hertz} Hz, over time`, x: [0, last],
        y: [-1.1, 1.1], xMarks: [0, 10, 20, 30, 40, 50].filter((t) => t <= last)
          .map((t) => [t, `${t}`]), yMarks: ticks, xLabel: "time (ms)", height: 267 });
      this.envelopes = [1, -1].map((sign) => [sign, row.line("thick")]);
      this.original = row.line("truth dashed");
      this.turned = row.line("attempt");
      this.cursor = row.line("");
      this.here = row.dot("attempt", 5);
      this.legend(["thick", "the length, kept"], ["attempt", "the real part"],
        ["truth dashed", "the real part before the turn"]);
      this.time = this.slider("time", { min: 0, max: re.length - 1, value: 0 },
        (k) => `${this.times[k].toFixed(1)} ms`);
      this.player(this.time, 12);
      this.theta = this.slider("turn all phases by", { min: 0, max: 360, step: 5, value: 0 },
        (degrees) => `${degrees}°`);
    }

    draw() {
      const k = +this.time.value, theta = (this.theta.value * Math.PI) / 180;
      const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
      const [re, im] = this.c;
      const turnedRe = re.map((value, t) => cos * value - sin * im[t]);
      const turnedIm = re.map((value, t) => sin * value + cos * im[t]);
      const modulus = turnedRe.map((value, t) => Math.hypot(value, turnedIm[t]));
      const from = Math.max(0, k - TRAIL);
      this.coefficient = [turnedRe[k], turnedIm[k]];
      const changes = modulus.map((m, t) => Math.abs(m - Math.hypot(re[t], im[t])));
      this.modulusChange = Math.max(...changes);

      this.ring.setAttribute("r", modulus[k] * (this.plane.X(1) - this.plane.X(0)));
      this.trail(turnedRe.slice(from, k + 1), turnedIm.slice(from, k + 1));
      this.arrow([0, turnedRe[k]], [0, turnedIm[k]]);
      this.tip(turnedRe[k], turnedIm[k]);
      for (const [sign, line] of this.envelopes) line(this.times, modulus.map((m) => sign * m));
      this.original(this.times, re);
      this.turned(this.times, turnedRe);
      this.cursor([this.times[k], this.times[k]], [-1.1, 1.1]);
      this.here(this.times[k], turnedRe[k]);
      const change = this.modulusChange < 1e-12 ? "no length has changed"
        : `the lengths have changed by up to ${this.modulusChange.toExponential(0)}`;
      this.say(`At ${this.times[k].toFixed(1)} ms the arrow is ${modulus[k].toFixed(2)} long: the `
        + `scalogram keeps this. It points to ${angleOf(...this.coefficient)}°: the phase, thrown `
        + `away. All phases are turned by ${this.theta.value}°; ${change}.`);
    }
  });
}
