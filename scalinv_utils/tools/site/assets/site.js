// What all pages do: boxes that the keyboard scrolls, definitions of terms, tables that sort, and
// pictures in the dark theme.

// Boxes. One that is wider than its place can have the focus, and the arrow keys scroll it.
(() => {
  const NAMES = { picture: "Picture", formula: "Formula", "table-wrapper": "Table" };
  const name = (box) => box.tagName !== "PRE" ? NAMES[[...box.classList].find((c) => c in NAMES)]
    : box.closest(".cell_output") ? "Output" : "Code";
  const look = () => {
    for (const box of document.querySelectorAll("pre, .picture, .formula, .table-wrapper")) {
      const scrolls = box.scrollWidth > box.clientWidth + 1;
      const given = { tabindex: "0", role: "region", "aria-label": name(box) };
      for (const [key, value] of Object.entries(given)) {
        if (scrolls) box.setAttribute(key, value); else box.removeAttribute(key);
      }
    }
  };
  look();
  window.addEventListener("resize", look);
  document.addEventListener("toggle", look, true);  // what was folded had no width
})();

// Definitions. One note for the page; it belongs to the term that has the pointer or the focus.
(() => {
  const note = document.createElement("div");
  note.id = "definition";
  note.setAttribute("role", "tooltip");
  note.hidden = true;
  document.body.append(note);
  let described = null;

  const show = (term) => {
    hide();
    note.textContent = term.dataset.definition;
    note.hidden = false;
    const place = term.getBoundingClientRect();
    const left = Math.min(place.left, document.documentElement.clientWidth - note.offsetWidth - 16);
    note.style.left = `${Math.max(16, left) + window.scrollX}px`;
    note.style.top = `${place.bottom + window.scrollY + 6}px`;
    term.setAttribute("aria-describedby", note.id);
    described = term;
  };
  const hide = () => {
    note.hidden = true;
    if (described) described.removeAttribute("aria-describedby");
    described = null;
  };

  for (const term of document.querySelectorAll("a.term")) {
    term.addEventListener("pointerenter", () => show(term));
    term.addEventListener("focus", () => show(term));
    term.addEventListener("pointerleave", hide);
    term.addEventListener("blur", hide);
    // A finger has no pointer that hovers: the first touch shows the note, the second follows.
    term.addEventListener("click", (event) => {
      if (event.pointerType === "touch" && term !== term.ownerDocument.touchedTerm) {
        event.preventDefault();
        show(term);
      }
      term.ownerDocument.touchedTerm = term;
    });
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();

// Tables. A column sorts by its numbers, or by its words where it has none.
(() => {
  const [FEWEST_ROWS, FEWEST_COLUMNS] = [4, 4];
  const number = (cell) => parseFloat(cell.textContent.replace(/−/g, "-").replace(/[*,]/g, ""));

  const compare = (column, sign) => (a, b) => {
    const [p, q] = [a.cells[column], b.cells[column]];
    const [x, y] = [number(p), number(q)];
    if (isNaN(x) || isNaN(y)) {
      // What has no number stands last, whichever way the numbers go.
      return isNaN(x) && isNaN(y)
        ? sign * p.textContent.localeCompare(q.textContent) : Number(isNaN(x)) - Number(isNaN(y));
    }
    return sign * (x - y);
  };

  const sort = (table, heading) => {
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare(heading.cellIndex, ascending ? 1 : -1)));
  };

  const sortable = (table) => table.tHead && table.tBodies[0]?.rows.length >= FEWEST_ROWS
    && table.tHead.rows[0].cells.length >= FEWEST_COLUMNS
    && [...table.tBodies[0].rows].every((row) => row.cells.length === table.tHead.rows[0].cells.length)
    && [...table.tBodies[0].rows[0].cells].filter((cell) => !isNaN(number(cell))).length > 1;

  for (const table of [...document.querySelectorAll("article table")].filter(sortable)) {
    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.className = "sort";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(table, heading));
    }
  }
})();

// Pictures in the dark. With m the least and M the largest of red, green and blue, a pixel p becomes
// p - m + paper + (ink - paper) (1 - m) max(0, 1 - 4 (M - m)): white turns to paper, the black of text
// and lines to ink, and colours, whose M - m is large, stay. This is done near white only, so that
// the colours inside a scalogram stay what its colour bar says. (Every step keeps alpha at 1.)
(() => {
  const [PAPER, INK, NEAR] = [0.09, 0.87, 3];
  const channel = (number, result) => {
    const row = [0, 1, 2, 3, 4].map((k) => Number(k === number)).join(" ");
    return `<feColorMatrix in="SourceGraphic" values="${row} ${row} ${row} 0 0 0 1 0"
      result="${result}"/>`;
  };
  const blend = (mode, a, b, result) =>
    `<feBlend mode="${mode}" in="${a}" in2="${b}" result="${result}"/>`;
  // k1 a b + k2 a + k3 b + k4
  const combine = (a, b, [k1, k2, k3, k4], result) => `<feComposite operator="arithmetic" in="${a}"
    in2="${b}" k1="${k1}" k2="${k2}" k3="${k3}" k4="${k4}" result="${result}"/>`;
  const linear = (input, slope, intercept, result) => {
    const change = (name) => `<feFunc${name} type="linear" slope="${slope}" intercept="${intercept}"/>`;
    return `<feComponentTransfer in="${input}" result="${result}">${["R", "G", "B"].map(change).join("")}
      </feComponentTransfer>`;
  };
  const holder = document.createElement("div");
  holder.innerHTML = `<svg width="0" height="0" style="position: absolute" aria-hidden="true">
    <filter id="dark-picture" color-interpolation-filters="sRGB" x="0" y="0" width="1" height="1">
    ${channel(0, "red")}${channel(1, "green")}${channel(2, "blue")}
    ${blend("darken", "red", "green", "least2")}${blend("darken", "least2", "blue", "m")}
    ${blend("lighten", "red", "green", "most2")}${blend("lighten", "most2", "blue", "M")}
    ${linear("m", -1, 1, "darkness")}${linear("m", 20, -18.5, "white")}
    <feMorphology in="white" operator="dilate" radius="${NEAR}" result="near"/>
    ${linear("near", -1, 1, "far")}
    ${combine("M", "m", [0, -4, 4, 1], "grey")}
    ${combine("darkness", "grey", [1, 0, 0, 0], "dark-grey")}
    ${combine("SourceGraphic", "darkness", [0, 1, 1, PAPER - 1], "colour")}
    ${combine("colour", "dark-grey", [0, 1, INK - PAPER, 0], "changed")}
    ${combine("changed", "near", [1, 0, 0, 0], "changed-near")}
    ${combine("SourceGraphic", "far", [1, 0, 0, 0], "kept-far")}
    ${combine("changed-near", "kept-far", [0, 1, 1, 0], "result")}
    </filter></svg>`;
  const filter = holder.firstElementChild;
  document.body.append(filter);
  // A name is looked up in the tree of the element that it is used on: explorers get a copy.
  window.addEventListener("load", () => {
    for (const explorer of document.querySelectorAll("scalinv-explorer")) {
      explorer.shadowRoot?.append(filter.cloneNode(true));
    }
  });
})();
