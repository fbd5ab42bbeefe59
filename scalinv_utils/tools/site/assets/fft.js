"use strict";

// The discrete Fourier transform of n = 2^k complex numbers, real and imaginary parts apart.
//
//     X[k] = sum over t of x[t] exp(-2 pi i k t / n)
//
// Stockham's form needs no bit reversal: each pass reads one pair of arrays, writes the other one
// in an order that is a little more sorted, and the two change places. A pass of radix 4 splits
// transforms of length 4 l into four of length l; one pass of radix 2 is left where n is no power
// of 4.

(() => {
  function fft(engine) {
    class FFT {
      constructor(n) {
        if (!(n >= 2) || (n & (n - 1))) throw new RangeError(`n must be a power of two, got ${n}`);
        this.n = n;
        this.cos = Float64Array.from({ length: n }, (_, k) => Math.cos((2 * Math.PI * k) / n));
        this.sin = Float64Array.from({ length: n }, (_, k) => -Math.sin((2 * Math.PI * k) / n));
        this.spare = [new Float64Array(n), new Float64Array(n)];
      }

      // Transform (re, im) in place.
      forward(re, im) {
        let from = [re, im], to = this.spare, l = this.n >> 2, m = 1;
        for (; l >= 1; l >>= 2, m <<= 2) {
          this.radix4(...from, ...to, l, m);
          [from, to] = [to, from];
        }
        if (m < this.n) {
          radix2(...from, ...to, m);
          [from, to] = [to, from];
        }
        if (from[0] !== re) {
          re.set(from[0]);
          im.set(from[1]);
        }
      }

      // The inverse: exchanging real and imaginary parts turns exp(-i ...) into exp(+i ...).
      inverse(re, im) {
        this.forward(im, re);
        const share = 1 / this.n;
        for (let k = 0; k < this.n; k++) {
          re[k] *= share;
          im[k] *= share;
        }
      }

      // The sums of a, b, c, d with the factors 1, -i, -1, i, and their rotations w, w^2, w^3.
      radix4(xr, xi, yr, yi, l, m) {
        const { cos, sin } = this, quarter = l * m;
        for (let j = 0; j < l; j++) {
          const c1 = cos[j * m], s1 = sin[j * m];
          const c2 = cos[2 * j * m], s2 = sin[2 * j * m];
          const c3 = cos[3 * j * m], s3 = sin[3 * j * m];
          for (let k = 0; k < m; k++) {
            const a = k + m * j, b = a + quarter, c = b + quarter, d = c + quarter;
            const sumR = xr[a] + xr[c], sumI = xi[a] + xi[c];
            const lessR = xr[a] - xr[c], lessI = xi[a] - xi[c];
            const otherR = xr[b] + xr[d], otherI = xi[b] + xi[d];
            const turnR = xi[b] - xi[d], turnI = xr[d] - xr[b]; // -i (b - d)
            const y = k + 4 * m * j;
            yr[y] = sumR + otherR;
            yi[y] = sumI + otherI;
            const r1 = lessR + turnR, i1 = lessI + turnI;
            yr[y + m] = r1 * c1 - i1 * s1;
            yi[y + m] = r1 * s1 + i1 * c1;
            const r2 = sumR - otherR, i2 = sumI - otherI;
            yr[y + 2 * m] = r2 * c2 - i2 * s2;
            yi[y + 2 * m] = r2 * s2 + i2 * c2;
            const r3 = lessR - turnR, i3 = lessI - turnI;
            yr[y + 3 * m] = r3 * c3 - i3 * s3;
            yi[y + 3 * m] = r3 * s3 + i3 * c3;
          }
        }
      }
    }

    function radix2(xr, xi, yr, yi, m) {
      for (let k = 0; k < m; k++) {
        yr[k] = xr[k] + xr[k + m];
        yi[k] = xi[k] + xi[k + m];
        yr[k + m] = xr[k] - xr[k + m];
        yi[k + m] = xi[k] - xi[k + m];
      }
    }

    engine.FFT = FFT;
  }

  const engine = (globalThis.scalinvEngine ??= { parts: [] });
  engine.parts.push(fft);
  fft(engine);
})();
