// Heap integration: coefficients get their phase one by one, and a waveform appears.
// uses _chart.js
// uses _idea.js
// uses _cauchy.js
// uses _heap.js
if (!customElements.get("scalinv-idea-heap")) {
  const STAGES = 60, FLOOR_DB = -60;
  const { gradient, paths, addUp } = window.ScalinvHeap;

  customElements.define("scalinv-idea-heap", class extends window.ScalinvIdea {
    // x: the sound, from which only S is kept for the phases; scales, beta ...: the transform
    build({ x, rate, scales, beta, hertz, spacing, stage, ...relation }) {
      const n = x.length, W = this.W = new window.ScalinvCauchy(n, scales, beta);
      const X = W.spectrum([x, new Float64Array(n)]);
      this.X = X.map((part) => part.map((value, k) => (W.gain[k] > 0 ? value : 0)));
      this.x = W.real(this.X);
      const c = W.coefficients(this.X), S = this.S = W.modulus(c);
      relation.stencils = relation.rowStencils.map(([first, k]) =>
        ({ first, weights: relation.stencils[k] }));
      const way = paths(S, W.rows, n);
      this.order = way.order;
      this.phase = addUp(way, gradient(W, S, relation), W.rows, n, spacing);
      this.rank = new Int32Array(S.length).fill(S.length);
      this.order.forEach((point, k) => { this.rank[point] = k; });
      const total = this.order.length;
      this.counts = Array.from({ length: STAGES + 1 }, (_, k) =>
        Math.round(total * (k / STAGES) ** 2));
      const synthesis = (phaseOf) => this.synthesise((k) =>
        [S[k] * Math.cos(phaseOf(k)), S[k] * Math.sin(phaseOf(k))]);
      this.stages = synthesis((k) => this.phase[k]);
      this.best = synthesis((k) => Math.atan2(c[1][k], c[0][k]));
      this.charts(rate, hertz);
      this.legend(["truth thick", "the truth"], ["attempt", "from the coefficients reached"],
        ["dashed", "with their true phases"]);
      this.stage = this.slider("coefficients reached", { min: 0, max: STAGES, value: stage },
        (k) => `${this.counts[k].toLocaleString("en")} of ${S.length.toLocaleString("en")}`);
      this.player(this.stage, 12);
    }

    // The signals of the coefficients reached at each stage, turned once to fit x; errors in dB.
    synthesise(coefficient) {
      const { W, X } = this, Y = [new Float64Array(W.bins), new Float64Array(W.bins)];
      let done = 0;
      return this.counts.map((count) => {
        for (; done < count; done++) {
          const point = this.order[done], row = Math.floor(point / W.n), t = point % W.n;
          const [re, im] = coefficient(point), filter = W.filters[row];
          for (let k = 1; k < W.bins; k++) {
            if (!(W.gain[k] > 0)) continue;
            const at = (k * t) % W.n, share = filter[k] / W.gain[k];
            Y[0][k] += share * (re * W.cos[at] + im * W.sin[at]);
            Y[1][k] += share * (im * W.cos[at] - re * W.sin[at]);
          }
        }
        return this.turned(Y, X);
      });
    }

    turned(Y, X) {
      let [re, im] = [0, 0];
      for (let k = 0; k < this.W.bins; k++) {
        re += Y[0][k] * X[0][k] + Y[1][k] * X[1][k];
        im += Y[0][k] * X[1][k] - Y[1][k] * X[0][k];
      }
      const size = Math.hypot(re, im) || 1, [cos, sin] = [re / size, im / size];
      const y = this.W.real([Y[0].map((v, k) => cos * v - sin * Y[1][k]),
        Y[1].map((v, k) => cos * v + sin * Y[0][k])]);
      const off = y.reduce((sum, v, t) => sum + (v - this.x[t]) ** 2, 0);
      return { y, errorDb: 10 * Math.log10(off / this.x.reduce((sum, v) => sum + v * v, 0)) };
    }

    charts(rate, hertz) {
      const { n, rows } = this.W, last = (1000 * n) / rate;
      const top = 1.15 * this.x.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      const times = this.times = this.x.map((_, t) => (1000 * t) / rate);
      const xMarks = [0, 20, 40, 60].filter((t) => t < times[n - 1]).map((t) => [t, `${t}`]);
      const plane = this.chart({ title: "Colour: the phase is known. Grey: not yet", xMarks,
        x: [0, last], y: [rows, 0], xLabel: "time (ms)",
        yLabel: "frequency (Hz)", yMarks: [100, 200, 400, 800, 1600]
          .map((f) => [hertz.findIndex((h) => h <= f) + 0.5, `${f}`]) });
      this.image = plane.picture(rows, n);
      const wave = this.chart({ title: "The waveform of the coefficients reached", x: [0, last],
        y: [-top, top], xMarks, yMarks: [[0, "0"]], xLabel: "time (ms)" });
      wave.line("truth thick")(times, this.x);
      this.wave = wave.line("attempt");
      const lowest = -80, share = this.counts.map((count) => (100 * count) / this.S.length);
      const fall = this.chart({ title: "Its error (dB)", x: [0, 100],
        y: [lowest, 0], xMarks: [0, 25, 50, 75, 100].map((v) => [v, `${v}`]),
        yMarks: [0, -20, -40, -60, -80].map((v) => [v, this.number(v, 0)]),
        xLabel: "coefficients reached (%)" });
      const curve = (stages) => stages.map((s) => Math.max(s.errorDb, lowest));
      fall.line("dashed")(share, curve(this.best));
      fall.line("attempt")(share, curve(this.stages));
      this.here = (k) => this.dot(share[k], curve(this.stages)[k]);
      this.dot = fall.dot("attempt", 5);
    }

    // The colour of a point: its level as brightness, and its phase as hue once it is reached.
    colour(point, count, peak) {
      const level = Math.max(0, 1 - (20 * Math.log10(this.S[point] / peak)) / FLOOR_DB);
      if (this.rank[point] >= count) return [150 * level, 150 * level, 150 * level];
      return [0, 2, 4].map((third) =>
        255 * level * (0.55 + 0.45 * Math.cos(this.phase[point] - (third * Math.PI) / 3)));
    }

    draw() {
      const k = +this.stage.value, count = this.counts[k], { n } = this.W;
      const { y, errorDb } = this.stages[k], peak = this.S[this.order[0]];
      this.errorDb = errorDb;
      this.image((j, t) => this.colour(j * n + t, count, peak));
      this.wave(this.times, y);
      this.here(k);
      const level = count ? 20 * Math.log10(this.S[this.order[count - 1]] / peak) : 0;
      this.say(count ? `After ${count.toLocaleString("en")} of `
        + `${this.S.length.toLocaleString("en")} coefficients the waveform is `
        + `${this.number(errorDb, 1)} dB from the truth. The latest one is `
        + `${this.number(-level, 0)} dB below the loudest.`
        : "No coefficient has a phase yet: there is no waveform.");
    }
  });
}
