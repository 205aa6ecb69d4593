"use strict";
(function () {
  var byId = function (id) { return document.getElementById(id); };
  var test = JSON.parse(byId("test").textContent);
  var given = new URLSearchParams(window.location.search);
  var mturk = test.platform === "mturk";
  var rater = given.get("PROLIFIC_PID") || given.get("workerId") || given.get("rater") || "";
  var state = null, heard = [], plays = [], shownAt = 0;

  var number = function (name) {
    var value = given.get(name);
    return value !== null && /^\d{1,10}$/.test(value) ? Number(value) : null;
  };
  var show = function (id) {
    ["intro", "trial", "end"].forEach(function (name) { byId(name).hidden = name !== id; });
    window.scrollTo(0, 0);
  };

  // Mulberry32, so that an order can be told from its seed.
  var generator = function (seed) {
    var a = seed >>> 0;
    return function () {
      a = (a + 0x6D2B79F5) | 0;
      var t = Math.imul(a ^ (a >>> 15), 1 | a);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  };
  var shuffled = function (list, draw) {
    var order = list.slice();
    for (var last = order.length - 1; last > 0; last -= 1) {
      var place = Math.floor(draw() * (last + 1));
      var moved = order[last]; order[last] = order[place]; order[place] = moved;
    }
    return order;
  };

  // What was answered survives a reload, where the browser lets a page keep anything.
  var slot = function () { return "listening-test/" + test.test + "/" + rater; };
  var keep = function () { try { localStorage.setItem(slot(), JSON.stringify(state)); } catch (error) { return; } };
  var kept = function () {
    try {
      var found = JSON.parse(localStorage.getItem(slot()));
      return found && found.test === test.test && !found.finished ? found : null;
    } catch (error) { return null; }
  };

  var fresh = function () {
    var seed = number("seed");
    if (seed === null) seed = crypto.getRandomValues(new Uint32Array(1))[0];
    seed = seed >>> 0;
    var asked = mturk ? Number(byId("set").dataset.set) : number("set");
    var set = asked !== null && asked >= 0 && asked < test.sets.length ? asked : seed % test.sets.length;
    return {
      version: 1, test: test.test, kind: test.kind, rater: rater, seed: seed, set: set,
      study: given.get("STUDY_ID") || given.get("hitId") || "",
      session: given.get("SESSION_ID") || given.get("assignmentId") || "",
      started: new Date().toISOString(), finished: "", answers: []
    };
  };

  // Sides are drawn after the order, so that both follow from the seed.
  var plan = function () {
    var draw = generator(state.seed);
    return shuffled(test.sets[state.set], draw).map(function (id) {
      var clips = test.trials[id], sides = clips.slice(1);
      return { id: id, prompt: clips[0], sides: sides.length > 1 ? shuffled(sides, draw) : sides };
    });
  };
  var steps = [];

  var source = function (clip) { return test.embedded ? test.embedded[clip] : test.base + clip + ".mp3"; };
  var players = [0, 1, 2].map(function (index) { return byId("audio-" + index); }).filter(Boolean);
  players.forEach(function (player, index) {
    player.addEventListener("play", function () {
      players.forEach(function (other) { if (other !== player) other.pause(); });
    });
    player.addEventListener("ended", function () { heard[index] = true; plays[index] += 1; refresh(); });
    player.addEventListener("error", function () {
      if (player.getAttribute("src")) byId("hint").textContent = "A recording cannot be played. Please reload the page.";
    });
  });

  var chosen = function () { return document.querySelector("input[name=answer]:checked"); };
  var refresh = function () {
    var all = heard.every(Boolean);
    players.forEach(function (player, index) {
      player.parentNode.querySelector("h2").classList.toggle("heard", heard[index]);
    });
    byId("answers").disabled = !all;
    byId("next").disabled = !(all && chosen());
    byId("hint").textContent = all ? (chosen() ? "" : "Choose one.") : "Listen to everything to the end; then you can answer.";
  };
  var present = function () {
    var index = state.answers.length, step = steps[index];
    if (!step) { finish(); return; }
    byId("count").textContent = (index + 1) + " of " + steps.length;
    byId("progress").value = index / steps.length;
    [step.prompt].concat(step.sides).forEach(function (clip, place) { players[place].src = source(clip); });
    heard = players.map(function () { return false; });
    plays = players.map(function () { return 0; });
    document.querySelectorAll("input[name=answer]").forEach(function (radio) { radio.checked = false; });
    byId("next").textContent = index + 1 === steps.length ? "Finish" : "Next";
    shownAt = performance.now();
    show("trial");
    refresh();
  };
  byId("answers").addEventListener("change", refresh);
  byId("next").addEventListener("click", function () {
    var radio = chosen(), step = steps[state.answers.length];
    if (!radio || !heard.every(Boolean)) return;
    players.forEach(function (player) { player.pause(); });
    var answer = radio.value;
    if (test.kind === "preference") answer = answer === "a" ? step.sides[0] : answer === "b" ? step.sides[1] : "tie";
    state.answers.push({
      trial: step.id, answer: test.kind === "mmos" ? Number(answer) : answer, shown: step.sides,
      plays: plays, seconds: Math.round((performance.now() - shownAt) / 100) / 10
    });
    keep();
    present();
  });
  document.addEventListener("keydown", function (event) {
    if (byId("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    var radio = document.querySelector("input[name=answer][value=\"" + event.key.toLowerCase().replace(/[^a-z0-9]/g, "") + "\"]");
    if (radio && !byId("answers").disabled) { radio.checked = true; refresh(); }
  });

  var offer = function (text) {
    byId("keep").hidden = false;
    byId("copy").value = text;
    byId("download").href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    byId("download").download = "answers-" + test.test + "-" + (rater || "rater").replace(/[^\w-]+/g, "_") + ".json";
  };
  var complete = function () {
    if (!test.code) return;
    byId("code").textContent = test.code;
    byId("return").href = "https://app.prolific.com/submissions/complete?cc=" + encodeURIComponent(test.code);
    byId("done").hidden = false;
  };
  var say = function (text) { byId("sent").textContent = text; byId("sent").hidden = false; };
  var finish = function () {
    if (!state.finished) state.finished = new Date().toISOString();
    var text = JSON.stringify(state, null, 1);
    show("end");
    if (mturk) { byId("results").value = JSON.stringify(state); byId("submit").hidden = false; return; }
    if (!test.submit) { offer(text); byId("download").addEventListener("click", complete); keep(); return; }
    say("Sending your answers ...");
    fetch(test.submit, { method: "POST", headers: { "Content-Type": "application/json" }, body: text }).then(function (reply) {
      if (!reply.ok) throw new Error(String(reply.status));
      say("Your answers have arrived.");
      keep();
      complete();
    }).catch(function () {
      say("Your answers could not be sent.");
      offer(text);
      byId("download").addEventListener("click", complete);
    });
  };

  var form = document.querySelector("crowd-form");
  if (form) form.addEventListener("submit", function (event) { if (!byId("results").value) event.preventDefault(); });
  var preview = given.get("assignmentId") === "ASSIGNMENT_ID_NOT_AVAILABLE";
  byId("preview").hidden = !preview;
  byId("start").disabled = preview;
  byId("who").hidden = mturk || rater !== "";
  byId("start").addEventListener("click", function () {
    if (!byId("who").hidden) {
      rater = byId("rater").value.trim();
      if (!rater) { byId("rater").focus(); byId("rater").classList.add("missing"); return; }
    }
    state = kept() || fresh();
    steps = plan();
    present();
  });
  show("intro");
})();
