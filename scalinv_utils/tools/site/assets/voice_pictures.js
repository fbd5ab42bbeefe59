"use strict";

// The pictures of a sound: its scalogram on a canvas, some of its waveform as SVG.
//
// Numbers at the axes are text of the page, so that they keep their size on a phone.

(() => {
  const voice = (globalThis.scalinvVoice ??= {});
  const SVG = "http://www.w3.org/2000/svg", SHOWN = 480, WIDTH = 640, HEIGHT = 160;

  // Matplotlib's magma, the course's map, at 0, 17, ... 255; colours between them are mixed.
  const MAGMA = "000003 0b0824 1f114b 3b0f6f 57147d 711f81 8c2980 a7317d "
    + "c33b74 dd4968 f0605d fa7f5e fd9f6c febe83 fddd9f fbfcbf";
  const ANCHORS = MAGMA.split(" ").map((hex) =>
    [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16)));

  function magma(level) {
    const low = Math.min(14, Math.floor(level / 17)), share = level / 17 - low;
    return ANCHORS[low].map((value, k) => value + share * (ANCHORS[low + 1][k] - value));
  }

  // The moduli as an image: rows fall in frequency, as the picture does.
  function paint(canvas, { levels, rows, columns }) {
    Object.assign(canvas, { width: columns, height: rows });
    const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
    levels.forEach((level, k) => image.data.set([...magma(level), 255], 4 * k));
    context.putImageData(image, 0, 0);
  }

  function element(name, className, text = "") {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  }

  // Build the frame of a scalogram in a figure: canvas, frequencies in Hz, seconds, colours.
  function frame(figure, frequencies) {
    const canvas = element("canvas", "");
    canvas.setAttribute("role", "img");
    const plot = element("div", "voice-plot"), [high, low] = [frequencies[0], frequencies.at(-1)];
    plot.append(canvas);
    for (const hertz of [100, 300, 1000, 3000]) {
      const label = element("span", "voice-hertz", `${hertz < 1000 ? hertz : hertz / 1000 + "k"}`);
      label.style.top = `${(100 * Math.log(high / hertz)) / Math.log(high / low)}%`;
      plot.append(label);
    }
    const seconds = element("div", "voice-seconds");
    seconds.append(...["0", "0.25", "0.5 s"].map((text) => element("span", "", text)));
    const key = element("figcaption", "");
    key.append("Hz against seconds; ", element("span", "voice-colours"), " -60 to 0 dB");
    for (const part of [...plot.querySelectorAll("span"), seconds]) part.ariaHidden = "true";
    figure.replaceChildren(plot, seconds, key);
    return canvas;
  }

  // Show a scalogram in a figure; `words` say what it shows.
  function scalogram(figure, picture, frequencies, words) {
    const canvas = figure.querySelector("canvas") ?? frame(figure, frequencies);
    paint(canvas, picture);
    canvas.setAttribute("aria-label", words);
  }

  function line(x, first, most, className) {
    const path = document.createElementNS(SVG, "path");
    const points = Array.from({ length: SHOWN }, (_, t) =>
      `${((t * WIDTH) / (SHOWN - 1)).toFixed(1)} ${(HEIGHT / 2) * (1 - (0.95 * x[first + t]) / most)}`);
    path.setAttribute("d", `M${points.join("L")}`);
    path.setAttribute("class", className);
    return path;
  }

  // Show 60 ms around the loudest sample of `truth`, and over it `attempt`, if there is one.
  function waveform(figure, truth, attempt, words) {
    const most = truth.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-12);
    const top = truth.findIndex((value) => Math.abs(value) === most);
    const first = Math.min(Math.max(top - SHOWN / 2, 0), truth.length - SHOWN);
    const svg = document.createElementNS(SVG, "svg");
    const seconds = [first, first + SHOWN].map((t) => (t / voice.RATE).toFixed(2));
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${words}, ${seconds[0]} to ${seconds[1]} s.`);
    svg.append(line(truth, first, most, "voice-truth"));
    if (attempt) svg.append(line(attempt, first, most, "voice-attempt"));
    const key = element("figcaption", "", `Waveform from ${seconds[0]} to ${seconds[1]} s: `);
    key.append(element("span", "voice-key-truth", "the sound"));
    if (attempt) key.append(", ", element("span", "voice-key-attempt", "this result"));
    figure.replaceChildren(svg, key);
  }

  Object.assign(voice, { scalogram, waveform });
})();
