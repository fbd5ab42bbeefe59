"use strict";

// The phase that the modulus of a Cauchy transform implies, and the signal that has it.
//
// Up to a factor for each row, c = W x is analytic in time + i scale: Cauchy and Riemann's
// equations give the gradient of the phase phi from that of the power P = |c|^2. With w_j = 2 pi f_j/rate,
//
//     dphi/dt      =  w_j (1 - dlog|c|/dlog s / beta)     rad per sample         dlog|c| = dP/(2 P)
//     dphi/dlog s  =  beta/w_j  dlog|c|/dt                rad
//
// (Holighaus, Koliander, Prusa and Abreu 2019). `recover` integrates it (heap.js), then corrects
// what is wrong next to the zeros. A round takes the estimate x, integrates the difference between
// the gradients that S and |W x| imply, turns the phase of W x by it, and takes ten steps of
// Griffin-Lim with momentum 0.9. At the solution the difference is zero.

(() => {
  function phaseGradient(engine) {
    const FLOOR = 1e-14, WIDTH = 13, NOISE = 1e-14;
    const SETTLING_STEPS = 10, MOMENTUM = 0.9;

    // The weights of 13 rows in d/dlog s of the power at row 0; the first is `offset` rows away.
    //
    // All filters have one shape, so at any time P(log s) is a combination of translates of psi^2.
    // Best predictions of such combinations have the covariance
    //     K(d) = integral of psi(e^u)^2 psi(e^(u + d))^2 du  ~  cosh(d/2)^(-4 beta),
    // and the weights are K^-1 k',  k'_a = d/du K(u - d_a) at u = 0.
    function stencil(offset, step, beta) {
      const place = (a) => (offset + a) * step;
      const K = (d) => Math.cosh(d / 2) ** (-4 * beta);
      const rows = Array.from({ length: WIDTH }, (_, a) => [
        ...Array.from({ length: WIDTH }, (_, b) => K(place(a) - place(b)) + (a === b ? NOISE : 0)),
        2 * beta * Math.tanh(place(a) / 2) * K(place(a)),
      ]);
      return solve(rows);
    }

    // Gauss and Jordan: each row holds the coefficients of an equation and its right side.
    function solve(rows) {
      rows.forEach((_, k) => {
        let pivot = k;
        for (let a = k; a < rows.length; a++) {
          if (Math.abs(rows[a][k]) > Math.abs(rows[pivot][k])) pivot = a;
        }
        [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
        const own = rows[k].map((value) => value / rows[k][k]);
        rows = rows.map((row, a) =>
          (a === k ? own : row.map((value, b) => value - row[k] * own[b])));
      });
      return rows.map((row) => row[row.length - 1]);
    }

    class PhaseGradient {
      constructor(bank) {
        if (bank.rows < WIDTH) throw new RangeError(`${WIDTH} rows are needed, got ${bank.rows}`);
        this.bank = bank;
        this.step = Math.LN2 / bank.voices; // log s from row to row
        this.stencils = new Map();
      }

      weights(offset) {
        if (!this.stencils.has(offset)) {
          this.stencils.set(offset, stencil(offset, this.step, this.bank.beta));
        }
        return this.stencils.get(offset);
      }

      // [dphi/dt, dphi/dlog s] from the modulus S alone.
      of(S) {
        const P = S.map((value) => value * value);
        const floor = FLOOR * P.reduce((a, b) => Math.max(a, b));
        return [this.inTime(P, floor), this.inScale(P, floor)];
      }

      inTime(P, floor) {
        const { n, rows, rate, beta, frequencies } = this.bank, slopes = new Float64Array(P.length);
        for (let row = 0; row < rows; row++) {
          const first = Math.min(Math.max(row - (WIDTH >> 1), 0), rows - WIDTH);
          const own = slopes.subarray(row * n, (row + 1) * n);
          this.weights(first - row).forEach((weight, a) => {
            const other = P.subarray((first + a) * n, (first + a + 1) * n);
            for (let t = 0; t < n; t++) own[t] += weight * other[t];
          });
          const centre = (2 * Math.PI * frequencies[row]) / rate;
          for (let t = 0; t < n; t++) {
            const slope = own[t] / (2 * (P[row * n + t] + floor));
            own[t] = centre * (1 - slope / beta);
          }
        }
        return slopes;
      }

      inScale(P, floor) {
        const { n, rows, rate, beta, frequencies } = this.bank, slopes = new Float64Array(P.length);
        for (let row = 0; row < rows; row++) {
          const [own, power] = [slopes, P].map((f) => f.subarray(row * n, (row + 1) * n));
          own.set(this.timeDerivative(power));
          const factor = (beta * rate) / (2 * Math.PI * frequencies[row]);
          for (let t = 0; t < n; t++) own[t] *= factor / (2 * (power[t] + floor));
        }
        return slopes;
      }

      // d/dt: multiply the DFT by i w.
      timeDerivative(f) {
        const { n, fft } = this.bank, re = Float64Array.from(f), im = new Float64Array(n);
        fft.forward(re, im);
        for (let k = 0; k < n; k++) {
          const w = (2 * Math.PI * (k < n / 2 ? k : k === n / 2 ? 0 : k - n)) / n;
          [re[k], im[k]] = [-w * im[k], w * re[k]];
        }
        fft.inverse(re, im);
        return re;
      }
    }

    // Yield {round, step, x}: the signal of the integral, which is round 0, then every step of each
    // round. Step SETTLING_STEPS is the last of a round.
    function* recover(bank, S, { rounds = 6, seed = 0 } = {}) {
      const gradient = new PhaseGradient(bank), known = gradient.of(S);
      const paths = new engine.Paths(S, bank.rows, bank.n);
      const phase = engine.randomPhase(S.length, seed); // stays where nothing can be heard
      paths.addUp(...known, gradient.step, phase);
      let x = bank.fromPolar(S, phase);
      yield { round: 0, step: SETTLING_STEPS, x };
      for (let round = 1; round <= rounds; round++) {
        const found = gradient.of(bank.magnitude(x));
        found.forEach((f, k) => { for (let p = 0; p < f.length; p++) f[p] = known[k][p] - f[p]; });
        paths.addUp(...found, gradient.step, phase.fill(0));
        const settling = new engine.GriffinLim(
          bank, S, engine.refit(bank, S, x, phase), MOMENTUM);
        for (let step = 1; step <= SETTLING_STEPS; step++) {
          x = settling.step();
          yield { round, step, x };
        }
      }
    }

    Object.assign(engine, { PhaseGradient, recover, SETTLING_STEPS });
  }

  const engine = (globalThis.scalinvEngine ??= { parts: [] });
  engine.parts.push(phaseGradient);
  phaseGradient(engine);
})();
