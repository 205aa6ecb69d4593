"use strict";
(() => {
  document.documentElement.classList.add("js");
  const $ = (id) => document.getElementById(id);

  // One recording plays at a time; its outline fills as it goes.
  let playing = null;
  const stop = () => {
    if (!playing) return;
    playing.audio.pause();
    playing.box.classList.remove("playing");
    playing.fill.style.clipPath = "inset(0 100% 0 0)";
    playing = null;
  };
  const follow = () => {
    if (!playing) return;
    const { audio, fill } = playing;
    const share = audio.duration > 0 ? audio.currentTime / audio.duration : 0;
    fill.style.clipPath = `inset(0 ${100 - 100 * share}% 0 0)`;
    requestAnimationFrame(follow);
  };
  const start = (box) => {
    const wave = box.querySelector(".wave");
    const fill = wave.children[1] || wave.appendChild(wave.children[0].cloneNode());
    const audio = box.querySelector("audio");
    audio.currentTime = 0;
    playing = { box, audio, fill };
    box.classList.add("playing");
    audio.onended = () => { if (playing && playing.audio === audio) stop(); };
    audio.play().catch(() => {
      if (playing && playing.audio === audio) stop();
      box.querySelector(".time").textContent = "cannot be played here";
    });
    requestAnimationFrame(follow);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".player button");
    if (!button) return;
    const box = button.closest(".player");
    const same = playing && playing.box === box;
    stop();
    if (!same) start(box);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });

  const blind = $("blind");
  if (blind) {
    const lists = [...document.querySelectorAll("#systems .takes")].map((list) => [list, [...list.children]]);
    const apply = () => {
      stop();
      $("systems").classList.toggle("blind", blind.checked);
      for (const [list, own] of lists) {
        const order = [...own];
        if (blind.checked) {
          for (let i = order.length - 1; i > 0; i--) {
            const j = Math.floor(Math.random() * (i + 1));
            [order[i], order[j]] = [order[j], order[i]];
          }
        }
        list.replaceChildren(...order);
      }
    };
    blind.addEventListener("change", apply);
    apply();
  }

  const form = $("filters");
  if (!form) return;
  const list = $("list");
  const entries = [...list.children].map((node, index) => ({
    node, index,
    heard: node.querySelector("header").textContent.toLowerCase(),
    groups: [...node.querySelectorAll(".group")].map((group) => ({
      node: group, round: group.dataset.round,
      takes: [...group.querySelectorAll(".take")].map((take) => ({
        node: take, mark: take.dataset.mark,
        score: "score" in take.dataset ? Number(take.dataset.score) : NaN,
        text: take.querySelector(".said").textContent.toLowerCase(),
      })),
    })),
  }));
  const numeric = (id, missing) => ($(id).value === "" ? missing : Number($(id).value));
  const update = () => {
    const round = $("f-round").value, mark = $("f-mark").value, sort = $("f-sort").value;
    const words = $("f-text").value.trim().toLowerCase();
    const low = numeric("f-low", -Infinity), high = numeric("f-high", Infinity);
    const bounded = low > -Infinity || high < Infinity;
    let prompts = 0, takes = 0;
    for (const entry of entries) {
      const scores = [];
      const heard = entry.heard.includes(words);
      entry.shown = 0;
      for (const group of entry.groups) {
        let shown = 0;
        for (const take of group.takes) {
          const fits = (!round || round === group.round)
            && (!mark || take.mark === mark || (mark === "pair" && take.mark !== "none"))
            && (!bounded || (take.score >= low && take.score <= high))
            && (heard || take.text.includes(words));
          take.node.hidden = !fits;
          if (!fits) continue;
          shown += 1;
          if (!Number.isNaN(take.score)) scores.push(take.score);
        }
        group.node.hidden = shown === 0;
        entry.shown += shown;
      }
      entry.node.hidden = entry.shown === 0;
      entry.best = scores.length ? Math.max(...scores) : -Infinity;
      entry.worst = scores.length ? Math.min(...scores) : Infinity;
      prompts += entry.shown > 0;
      takes += entry.shown;
    }
    const keys = {
      id: (entry) => entry.index,
      best: (entry) => -entry.best,
      worst: (entry) => entry.worst,
      wide: (entry) => (entry.best >= entry.worst ? entry.worst - entry.best : Infinity),
    };
    const key = keys[sort];
    const ordered = [...entries].sort((a, b) => {
      const x = key(a), y = key(b);
      return x < y ? -1 : x > y ? 1 : a.index - b.index;
    });
    if (ordered.some((entry, i) => list.children[i] !== entry.node)) {
      list.replaceChildren(...ordered.map((entry) => entry.node));
    }
    $("f-count").textContent = `${takes} continuation${takes === 1 ? "" : "s"} of ${prompts} prompt${prompts === 1 ? "" : "s"}`;
  };
  form.addEventListener("input", update);
  form.addEventListener("reset", () => setTimeout(update));
  form.addEventListener("submit", (event) => event.preventDefault());
  update();
})();
