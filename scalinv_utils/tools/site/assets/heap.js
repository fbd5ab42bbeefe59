"use strict";

// Integrate a phase along paths that avoid the zeros of the scalogram.
//
// The integration starts at the largest modulus; the next point is always the largest of all
// neighbours of points reached so far (Prusa, Balazs and Sondergaard 2017). The last sample is a
// neighbour of the first. Moduli within 0.1 dB count as equal: then the queue is a stack for each
// level, which takes a fraction of the time of a binary heap.

(() => {
  function heap(engine) {
    const LEVEL_DB = 0.1, RIGHT = 1, LEFT = 2, DOWN = 3, UP = 4;

    class Paths {
      // `points`: the indices of the points in the order in which they are reached; `directions`:
      // by which step each was reached, 0 at the start of an island; `islands`: their number.
      // Points below `threshold` times the maximum are never reached.
      constructor(moduli, rows, n, threshold = 1e-6) {
        Object.assign(this, { rows, n, islands: 0 });
        const levels = levelsOf(moduli, threshold);
        this.points = new Int32Array(levels.filter((level) => level >= 0).length);
        this.directions = new Uint8Array(levels.length);
        this.grow(levels, startsOf(moduli, levels));
      }

      grow(levels, starts) {
        const { rows, n, points, directions } = this;
        const reached = Uint8Array.from(levels, (level) => level < 0);
        const newest = new Int32Array(levels.reduce((a, b) => Math.max(a, b)) + 1).fill(-1);
        const below = new Int32Array(levels.length); // the point under each point of a stack
        let count = 0, level = -1;
        const push = (point, direction) => {
          if (reached[point]) return;
          reached[point] = 1;
          directions[point] = direction;
          const own = levels[point];
          below[point] = newest[own];
          newest[own] = point;
          if (own > level) level = own;
        };
        for (const start of starts) {
          if (reached[start]) continue;
          this.islands += 1;
          push(start, 0);
          while (level >= 0) {
            const point = newest[level];
            if (point < 0) {
              level -= 1;
              continue;
            }
            newest[level] = below[point];
            points[count++] = point;
            const row = Math.floor(point / n), t = point - row * n;
            push(t + 1 < n ? point + 1 : point + 1 - n, RIGHT);
            push(t > 0 ? point - 1 : point - 1 + n, LEFT);
            if (row + 1 < rows) push(point + n, DOWN);
            if (row > 0) push(point - n, UP);
          }
        }
      }

      // Replace `phase`, but where an island starts, by the integral of its derivatives: inTime per
      // sample, inScale per unit of log scale, `step` of which lies between two rows.
      addUp(inTime, inScale, step, phase) {
        const { rows, n, points, directions } = this;
        // From point b to c of four neighbours a, b, c, d: the integral of the cubic through them.
        const cubic = (f, a, b, c, d) => (13 * (f[b] + f[c]) - f[a] - f[d]) / 24;
        const right = (point) => {
          const t = point % n, first = point - t;
          return cubic(inTime, t > 0 ? point - 1 : first + n - 1, point,
            first + ((t + 1) % n), first + ((t + 2) % n));
        };
        const down = (point) => {
          const row = Math.floor(point / n), end = row === 0 || row >= rows - 2;
          if (end) return (step * (inScale[point] + inScale[point + n])) / 2;
          return step * cubic(inScale, point - n, point, point + n, point + 2 * n);
        };
        for (const point of points) {
          const way = directions[point];
          if (way === RIGHT) {
            const from = point % n > 0 ? point - 1 : point - 1 + n;
            phase[point] = phase[from] + right(from);
          } else if (way === LEFT) {
            const from = (point + 1) % n > 0 ? point + 1 : point + 1 - n;
            phase[point] = phase[from] - right(point);
          } else if (way === DOWN) {
            phase[point] = phase[point - n] + down(point - n);
          } else if (way === UP) {
            phase[point] = phase[point + n] - down(point);
          }
        }
      }
    }

    // Levels above the threshold in steps of 0.1 dB; -1 below it.
    function levelsOf(moduli, threshold) {
      const least = threshold * moduli.reduce((a, b) => Math.max(a, b));
      return Int16Array.from(moduli, (value) =>
        value >= least && value > 0 ? Math.floor((20 * Math.log10(value / least)) / LEVEL_DB) : -1);
    }

    // Where islands may start: the largest modulus, then all points from the highest level down.
    function startsOf(moduli, levels) {
      let largest = 0;
      moduli.forEach((value, k) => { if (value > moduli[largest]) largest = k; });
      const counts = new Int32Array(levels.reduce((a, b) => Math.max(a, b)) + 2);
      levels.forEach((level) => { if (level >= 0) counts[level] += 1; });
      for (let level = counts.length - 2; level >= 0; level--) counts[level] += counts[level + 1];
      const starts = new Int32Array(counts[0] + 1);
      starts[0] = largest;
      levels.forEach((level, k) => { if (level >= 0) starts[1 + counts[level + 1]++] = k; });
      return starts;
    }

    engine.Paths = Paths;
  }

  const engine = (globalThis.scalinvEngine ??= { parts: [] });
  engine.parts.push(heap);
  heap(engine);
})();
