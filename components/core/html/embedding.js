function showEmbedding(root) {
  const data = JSON.parse(root.querySelector("script").textContent);
  const state = { layout: Object.keys(data.layouts)[0], colour: Object.keys(data.colourings)[0] };
  const symbols = { source: "circle", external: "diamond", synthetic: "circle-open" };
  const add = (parent, tag, className) => {
    const element = parent.appendChild(document.createElement(tag));
    element.className = className;
    return element;
  };
  const shown = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  const choices = add(root, "div", "choices");
  const plot = add(root, "div", "plot");
  const hover = add(root, "div", "hover");

  function choice(title, key, names) {
    if (names.length < 2) return;
    const group = add(choices, "div", "");
    add(group, "span", "").textContent = title;
    for (const name of names) {
      const button = add(group, "button", "");
      button.textContent = name;
      button.setAttribute("aria-pressed", name === state[key]);
      button.onclick = () => {
        state[key] = name;
        for (const other of group.querySelectorAll("button"))
          other.setAttribute("aria-pressed", other === button);
        draw();
      };
    }
  }

  function traces() {
    const axes = data.layouts[state.layout];
    const solid = axes.length === 3;
    const colouring = data.colourings[state.colour];
    const groups = new Map();
    data.roles.forEach((role, place) => {
      const key = colouring.index[place] + " " + role;
      if (!groups.has(key)) groups.set(key, { index: colouring.index[place], role, places: [] });
      groups.get(key).places.push(place);
    });
    const named = new Set();
    return [...groups.values()]
      .sort((one, other) => one.index - other.index || one.role.localeCompare(other.role))
      .map(({ index, role, places }) => {
        const first = !named.has(index);
        named.add(index);
        const color = index < 0 ? "#c9ced4" : colouring.colours[index];
        const pick = (axis) => places.map((place) => axis[place]);
        return {
          type: solid ? "scatter3d" : "scatter",
          mode: "markers",
          name: index < 0 ? "–" : shown(colouring.names[index]),
          legendgroup: String(index),
          showlegend: first,
          customdata: places,
          hoverinfo: "none",
          x: pick(axes[0]),
          y: pick(axes[1]),
          ...(solid ? { z: pick(axes[2]) } : {}),
          marker: {
            color,
            symbol: symbols[role],
            size: solid ? 4 : 7,
            opacity: solid ? 0.9 : 0.8,
            line: { width: role === "synthetic" ? 1.5 : 0, color },
          },
        };
      });
  }

  function draw() {
    hover.style.display = "none";
    const bare = { showticklabels: false, showgrid: false, zeroline: false, ticks: "", title: { text: "" } };
    const wall = { ...bare, showbackground: true, backgroundcolor: "#f6f7f9" };
    Plotly.react(
      plot,
      traces(),
      {
        height: 520,
        margin: { l: 12, r: 12, t: 12, b: 12 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: "system-ui, sans-serif", size: 13, color: "#22272e" },
        legend: { itemsizing: "constant" },
        showlegend: true,
        hovermode: "closest",
        ...(data.layouts[state.layout].length === 3
          ? { scene: { xaxis: wall, yaxis: wall, zaxis: wall, aspectmode: "cube" } }
          : { xaxis: bare, yaxis: { ...bare, scaleanchor: "x" } }),
      },
      { displayModeBar: false, responsive: true, scrollZoom: false },
    );
  }

  let pointer = { x: 0, y: 0 };
  root.addEventListener("pointermove", (event) => { pointer = { x: event.clientX, y: event.clientY }; }, true);

  function show(event) {
    const place = event.points[0].customdata;
    hover.replaceChildren();
    if (data.tiles[place].startsWith("data:image/")) add(hover, "img", "").src = data.tiles[place];
    for (const [key, colouring] of Object.entries(data.colourings)) {
      const name = colouring.names[colouring.index[place]];
      if (name !== undefined) add(hover, "div", "").textContent = key + ": " + name;
    }
    hover.style.display = "block";
    const { width, height } = hover.getBoundingClientRect();
    hover.style.left = Math.max(4, Math.min(pointer.x + 16, innerWidth - width - 4)) + "px";
    hover.style.top = Math.max(4, Math.min(pointer.y + 16, innerHeight - height - 4)) + "px";
  }

  choice("Layout", "layout", Object.keys(data.layouts));
  choice("Colour by", "colour", Object.keys(data.colourings));
  draw();
  plot.on("plotly_hover", show);
  plot.on("plotly_unhover", () => { hover.style.display = "none"; });
}
