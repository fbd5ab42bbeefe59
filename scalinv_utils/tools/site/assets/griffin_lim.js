"use strict";

// Griffin and Lim's algorithm: alternate between the signals and the given modulus.
//
//     start   x = W^+ (S exp(i phi)),  phi random
//     step    x <- W^+ (S c/|c|),  c = W y        W^+ the inverse of bank.js
//             y = x + momentum (x - x_old)        momentum 0: Griffin and Lim (1984)
//                                                 momentum 0.99: fast Griffin-Lim (Perraudin,
//                                                 Balazs and Sondergaard 2013)
//
// Without momentum the misfit || |W x| - S || never grows; it may stop falling anywhere.

(() => {
  function griffinLim(engine) {
    // Numbers in [0, 1), the same ones for the same seed (Tommy Ettinger's mulberry32).
    function random(seed) {
      let state = seed >>> 0;
      return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let z = Math.imul(state ^ (state >>> 15), state | 1);
        z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
        return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
      };
    }

    function randomPhase(length, seed) {
      const next = random(seed), phase = new Float64Array(length);
      return phase.map(() => 2 * Math.PI * next());
    }

    // W^+ (S c/|c|) with c = W y; where c is zero its phase counts as 0. `turn`, if given, is added
    // to the phase of c.
    function refit(bank, S, y, turn) {
      const Y = bank.spectrum(y);
      return bank.synthesise((row, re, im) => {
        bank.coefficients(Y, row, re, im);
        for (let t = 0, at = row * bank.n; t < bank.n; t++, at++) {
          const modulus = Math.sqrt(re[t] * re[t] + im[t] * im[t]);
          if (modulus > 0) {
            re[t] *= S[at] / modulus;
            im[t] *= S[at] / modulus;
          } else {
            re[t] = S[at];
            im[t] = 0;
          }
          if (turn && turn[at] !== 0) {
            const cos = Math.cos(turn[at]), sin = Math.sin(turn[at]), real = re[t];
            re[t] = real * cos - im[t] * sin;
            im[t] = real * sin + im[t] * cos;
          }
        }
      });
    }

    class GriffinLim {
      constructor(bank, S, x, momentum = 0.99) {
        Object.assign(this, { bank, S, momentum, x, before: x, steps: 0 });
      }

      step() {
        const { x, before, momentum } = this;
        const y = x.map((value, t) => value + momentum * (value - before[t]));
        this.before = x;
        this.x = refit(this.bank, this.S, y);
        this.steps += 1;
        return this.x;
      }
    }

    Object.assign(engine, { random, randomPhase, refit, GriffinLim });
  }

  const engine = (globalThis.scalinvEngine ??= { parts: [] });
  engine.parts.push(griffinLim);
  griffinLim(engine);
})();
