// Heap integration: the gradient of the phase from the modulus, and its sum along safe paths, as
// recovery/_phase_relations.py and recovery/_heap_integration.py compute them for Cauchy wavelets.
if (!window.ScalinvHeap) {
  const DERIVATIVE_FLOOR = 1e-14, REACHED_DOWN_TO = 1e-6, LEVEL_DB = 0.1;
  const [START, RIGHT, LEFT, DOWN, UP] = [0, 1, 2, 3, 4];

  // dphi/dt and dphi/dlog s from the modulus alone, by the relations of the Cauchy wavelet.
  // stencils[j]: the rows, from `first` on, and their weights in the derivative by log s at row j.
  function gradient(W, S, { peak, timeBandwidth, stencils }) {
    const { n, rows } = W, largest = S.reduce((a, b) => Math.max(a, b)) ** 2;
    const inTime = new Float64Array(S.length), inScale = new Float64Array(S.length);
    for (let j = 0; j < rows; j++) {
      const P = S.slice(j * n, (j + 1) * n).map((modulus) => modulus ** 2);
      const X = W.spectrum([P, new Float64Array(n)]), omega = (k) => (2 * Math.PI * k) / n;
      const slope = W.real([X[1].map((v, k) => -omega(k) * v), X[0].map((v, k) => omega(k) * v)]);
      const { first, weights } = stencils[j], centre = peak / W.scales[j];
      for (let t = 0; t < n; t++) {
        const twice = 2 * (P[t] + DERIVATIVE_FLOOR * largest); // 2 P, safe next to zeros
        const inLogScale = weights.reduce((sum, w, i) => sum + w * S[(first + i) * n + t] ** 2, 0);
        inTime[j * n + t] = centre * (1 - inLogScale / twice / timeBandwidth);
        inScale[j * n + t] = ((timeBandwidth / centre) * slope[t]) / twice;
      }
    }
    return { inTime, inScale };
  }

  // The order of the points, and the step that reached each of them: the next one is always the
  // loudest neighbour of those reached, to 0.1 dB. One stack of points for each level is the queue.
  function paths(S, rows, n) {
    const loudest = S.reduce((best, modulus, k) => (modulus > S[best] ? k : best), 0);
    const levels = Array.from(S, (modulus) =>
      Math.floor((20 * Math.log10(modulus / (REACHED_DOWN_TO * S[loudest]))) / LEVEL_DB));
    const stacks = Array.from({ length: levels[loudest] + 1 }, () => []);
    const reachedBy = new Int8Array(S.length).fill(-1), order = [];
    let level = levels[loudest];
    const reach = (point, step) => {
      if (reachedBy[point] >= 0 || !(levels[point] >= 0)) return;
      reachedBy[point] = step;
      stacks[levels[point]].push(point);
      level = Math.max(level, levels[point]);
    };
    for (reach(loudest, START); level >= 0;) {
      if (!stacks[level].length) {
        level--;
        continue;
      }
      const point = stacks[level].pop(), row = Math.floor(point / n), t = point % n;
      order.push(point);
      reach(row * n + ((t + 1) % n), RIGHT); // time is periodic
      reach(row * n + ((t - 1 + n) % n), LEFT);
      if (row + 1 < rows) reach(point + n, DOWN);
      if (row > 0) reach(point - n, UP);
    }
    return { order, reachedBy };
  }

  // Add the gradient up along the paths; a step is the integral of a cubic through four points.
  function addUp({ order, reachedBy }, { inTime, inScale }, rows, n, spacing) {
    const phase = new Float64Array(inTime.length);
    const cubic = (before, here, there, after) => (13 * (here + there) - before - after) / 24;
    const right = (row, t) =>
      cubic(...[-1, 0, 1, 2].map((k) => inTime[row * n + ((t + k + n) % n)]));
    const down = (row, t) => {
      const f = (k) => inScale[(row + k) * n + t];
      return spacing * (row > 0 && row < rows - 2 ? cubic(f(-1), f(0), f(1), f(2))
        : (f(0) + f(1)) / 2);
    };
    for (const point of order) {
      const row = Math.floor(point / n), t = point % n, start = row * n;
      const before = (t - 1 + n) % n, after = (t + 1) % n;
      if (reachedBy[point] === RIGHT) phase[point] = phase[start + before] + right(row, before);
      if (reachedBy[point] === LEFT) phase[point] = phase[start + after] - right(row, t);
      if (reachedBy[point] === DOWN) phase[point] = phase[point - n] + down(row - 1, t);
      if (reachedBy[point] === UP) phase[point] = phase[point + n] - down(row, t);
    }
    return phase;
  }

  window.ScalinvHeap = { gradient, paths, addUp };
}
