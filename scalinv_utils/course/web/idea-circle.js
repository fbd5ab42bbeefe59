// A sound on its circle: turned by any angle it is another waveform with the same scalogram.
// uses _chart.js
// uses _idea.js
// uses _cauchy.js
if (!customElements.get("scalinv-idea-circle")) {
  const FLOOR_DB = -50;
  const decibels = (ratio) => 20 * Math.log10(ratio);
  const norm = (x) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  const minus = (a, b) => a.map((value, k) => value - b[k]);

  customElements.define("scalinv-idea-circle", class extends window.ScalinvIdea {
    // x: the sound; rate in samples per second; scales and hertz: of the rows; theta in degrees
    build({ x, rate, scales, beta, hertz, theta }) {
      const W = this.W = new window.ScalinvCauchy(x.length, scales, beta);
      const X = W.spectrum([x, new Float64Array(x.length)]);
      this.X = X.map((part) => part.map((value, k) => (W.gain[k] > 0 ? value : 0)));
      this.x = W.real(this.X);
      this.S = W.modulus(W.coefficients(this.X));
      this.peak = Math.max(...this.S);
      this.times = Array.from(x, (_, t) => (1000 * t) / rate);
      const top = 2.3 * Math.max(...W.modulus(W.signal(this.X))), last = (1000 * x.length) / rate;
      const marks = [0, 10, 20, 30, 40, 50, 60].filter((t) => t < last).map((t) => [t, `${t}`]);

      const wave = this.chart({ title: "The waveform moves", x: [0, last], y: [-top, top],
        xMarks: marks, yMarks: [[0, "0"]], xLabel: "time (ms)" });
      [this.original, this.turned] = [wave.line("truth dashed"), wave.line("attempt thick")];
      const plane = this.chart({ title: "Its scalogram stands still", x: [0, last],
        y: [scales.length, 0], xMarks: marks, xLabel: "time (ms)",
        yLabel: "frequency (Hz)",
        yMarks: [100, 200, 400, 800, 1600, 3200].filter((f) => f < hertz[0]).map((f) =>
          [hertz.findIndex((h) => h <= f) + 0.5, `${f}`]) });
      this.image = plane.picture(scales.length, x.length);
      this.dial();
      this.legend(["truth dashed", "x"], ["attempt thick", "x, turned"]);
      this.theta = this.slider("turn", { min: 0, max: 360, value: theta },
        (degrees) => `${degrees}°`);
      this.player(this.theta, 6);
    }

    // The circle in the plane of x and its Hilbert transform; a pointer drags the sound along it.
    dial() {
      const dial = this.chart({ title: "The circle: drag the sound along it", x: [-2.8, 2.8],
        y: [-1.35, 1.35], equal: true });
      const ring = { cx: dial.X(0), cy: dial.Y(0), r: dial.X(1) - dial.X(0) };
      dial.put("circle", { ...ring, class: "dashed" });
      for (const [text, px, py] of [["x", 1.2, -0.06], ["−x", -1.25, -0.06], ["Hx", 0, -1.25],
        ["−Hx", 0, 1.1]]) dial.write(text, dial.X(px), dial.Y(py), "middle");
      [this.arm, this.knob] = [dial.line("attempt"), dial.dot("attempt", 12)];
      const hold = dial.put("circle", { ...ring, r: 1.3 * ring.r,
        style: "fill: transparent; stroke: none; touch-action: none; cursor: grab" });
      const drag = (event) => {
        if (event.type === "pointerdown") hold.setPointerCapture(event.pointerId);
        else if (!hold.hasPointerCapture(event.pointerId)) return;
        const [px, py] = dial.place(event);
        this.pause();
        this.theta.turnTo(Math.round(((Math.atan2(py, px) * 180) / Math.PI + 360) % 360));
        this.draw();
      };
      hold.onpointerdown = hold.onpointermove = drag;
    }

    draw() {
      const degrees = +this.theta.value, theta = (degrees * Math.PI) / 180;
      const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
      const Y = [this.X[0].map((re, k) => cos * re - sin * this.X[1][k]),
        this.X[1].map((im, k) => cos * im + sin * this.X[0][k])];
      const y = this.W.real(Y);
      // The spectrum of y itself, not Y: the modulus is that of a real signal.
      const own = this.W.spectrum([y, new Float64Array(y.length)]);
      const S = this.W.modulus(this.W.coefficients(own));
      const change = minus(S, this.S).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      this.modulusChangeDb = decibels(change / this.peak);
      this.waveformChangeDb = decibels(norm(minus(y, this.x)) / norm(this.x));

      this.original(this.times, this.x);
      this.turned(this.times, y);
      this.image((j, t) => window.ScalinvCauchy.magma(
        1 - decibels(S[j * this.W.n + t] / this.peak) / FLOOR_DB));
      this.arm([0, cos], [0, sin]);
      this.knob(cos, sin);
      const name = { 0: " This is x.", 90: " This is −Hx.", 180: " This is −x, x upside down.",
        270: " This is Hx.", 360: " This is x again." }[degrees] ?? "";
      const differs = this.waveformChangeDb < -200 ? "The waveform is that of x"
        : `The waveform differs from x by ${this.number(this.waveformChangeDb, 1)} dB`;
      const moved = change === 0 ? "no modulus has changed" : "of all moduli, the one that changed "
        + `most changed by ${this.number(this.modulusChangeDb, 0)} dB of the largest: rounding`;
      this.say(`Turned by ${degrees}°.${name} ${differs}; ${moved}.`);
    }
  });
}
