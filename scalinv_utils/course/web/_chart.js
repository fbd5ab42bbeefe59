// Charts as SVG: axes with marks, and lines, dots and pictures on them.
if (!window.ScalinvChart) {
  const svg = (tag, attributes, parent) => {
    const node = parent.appendChild(document.createElementNS("http://www.w3.org/2000/svg", tag));
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };

  // Axes over x and y, pairs [from, to]; the marks are [value, text]. Where the units of both are
  // equal, they are drawn so. Returns what draws on the axes.
  const make = (parent, { title, x, y, xMarks = [], yMarks = [], xLabel = "", yLabel = "",
    equal = false, height = 210 }) => {
    const [left, top, right] = [42, 26, 350];
    if (equal) height = 62 + ((right - left) * (y[1] - y[0])) / (x[1] - x[0]);
    const bottom = height - 36;
    const X = (value) => left + ((value - x[0]) / (x[1] - x[0])) * (right - left);
    const Y = (value) => bottom - ((value - y[0]) / (y[1] - y[0])) * (bottom - top);
    const root = svg("svg", { viewBox: `0 0 360 ${height}`, role: "img",
      "aria-label": title }, parent);
    const put = (tag, attributes) => svg(tag, attributes, root);
    const write = (text, px, py, className) => {
      put("text", { x: px, y: py, class: className }).textContent = text;
    };
    write(title, left, 16, "title");
    write(xLabel, right, height - 4, "end");
    write(yLabel, 0, height - 4, "");
    for (const [value, text] of xMarks) {
      put("path", { class: "grid", d: `M${X(value)} ${bottom}V${top}` });
      write(text, X(value), bottom + 15, "middle");
    }
    for (const [value, text] of yMarks) {
      put("path", { class: "grid", d: `M${left} ${Y(value)}H${right}` });
      write(text, left - 5, Y(value) + 4, "end");
    }
    const line = (className) => {
      const path = put("path", { class: className });
      return (xs, ys) => path.setAttribute("d", xs.length ? "M" + Array.from(xs,
        (value, k) => `${X(value).toFixed(1)} ${Y(ys[k]).toFixed(1)}`).join("L") : "");
    };
    const dot = (className, r = 4) => {
      const circle = put("circle", { class: `dot ${className}`, r });
      return (px, py) => {
        circle.setAttribute("cx", X(px));
        circle.setAttribute("cy", Y(py));
      };
    };
    // paint(row, column) gives [red, green, blue]; the first row is drawn at the top.
    const picture = (rows, columns) => {
      const canvas = document.createElement("canvas");
      [canvas.height, canvas.width] = [rows, columns];
      const context = canvas.getContext("2d"), pixels = context.createImageData(columns, rows);
      const image = put("image", { x: left, y: top, width: right - left, height: bottom - top,
        preserveAspectRatio: "none" });
      return (paint) => {
        for (let k = 0; k < rows * columns; k++) {
          pixels.data.set([...paint(Math.floor(k / columns), k % columns), 255], 4 * k);
        }
        context.putImageData(pixels, 0, 0);
        image.setAttribute("href", canvas.toDataURL());
      };
    };
    // Where a pointer is, in the units of the axes.
    const place = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY)
        .matrixTransform(root.getScreenCTM().inverse());
      return [x[0] + ((at.x - left) / (right - left)) * (x[1] - x[0]),
        y[0] + ((bottom - at.y) / (bottom - top)) * (y[1] - y[0])];
    };
    return { root, put, write, X, Y, line, dot, picture, place };
  };

  window.ScalinvChart = { svg, make };
}
