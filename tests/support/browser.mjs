// Looks at pages with Chromium, as people do: on several screens, by eye, by ear and by keyboard.
//
//     node browser.mjs CHROMIUM PROFILE AXE     views (a JSON list) on standard input; a JSON list of what was seen
//
// A view: url, width, height, dark, print, language (Accept-Language), screenshot (a file), keyboard (a list of keys to press).
// What was seen: title, lang, text, overflow (pixels that stick out to the right), violations (of axe-core), told (by the browser: refused by the
// policy, script errors), asked (every URL that the page asked for), focused (what each key led to), images (names of pictures).
//
// Spoken to over the pipe of the DevTools protocol: no port, and nothing that has to be installed.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const [chromium, profile, axe] = process.argv.slice(2);
const browser = spawn(
  chromium,
  ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", "--force-color-profile=srgb",
    "--disable-background-networking", `--user-data-dir=${profile}`, "--remote-debugging-pipe", "about:blank"],
  { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] },
);
let words = "";
browser.stderr.on("data", (chunk) => { words += chunk; });
browser.on("exit", (code) => { if (!done) { console.error(`chromium ended with ${code}\n${words}`); process.exit(1); } });
let done = false;

const waiting = new Map();
const listeners = [];
let rest = "";
let last = 0;
browser.stdio[4].setEncoding("utf8").on("data", (chunk) => {
  const messages = (rest + chunk).split("\0");
  rest = messages.pop();
  for (const text of messages) {
    const message = JSON.parse(text);
    if (message.id) {
      const { resolve, reject } = waiting.get(message.id);
      waiting.delete(message.id);
      message.error ? reject(new Error(JSON.stringify(message.error))) : resolve(message.result);
    } else {
      listeners.forEach((hear) => hear(message));
    }
  }
});

function send(method, params = {}, sessionId) {
  const id = ++last;
  browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

async function look(view) {
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const ask = (method, params) => send(method, params, sessionId);
  const seen = { asked: [], told: [], focused: [], images: [] };
  let loaded;
  const isLoaded = new Promise((resolve) => { loaded = resolve; });
  const hear = (message) => {
    if (message.sessionId !== sessionId) return;
    const { method, params } = message;
    if (method === "Network.requestWillBeSent") seen.asked.push(params.request.url);
    if (method === "Log.entryAdded") seen.told.push(params.entry.text);
    if (method === "Runtime.consoleAPICalled") seen.told.push(JSON.stringify(params.args));
    if (method === "Runtime.exceptionThrown") seen.told.push(params.exceptionDetails.text);
    if (method === "Page.loadEventFired") loaded();
  };
  listeners.push(hear);
  for (const domain of ["Page", "Network", "Log", "Runtime", "Accessibility"]) await ask(`${domain}.enable`);
  const { width, height } = view;
  await ask("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  const features = [{ name: "prefers-color-scheme", value: view.dark ? "dark" : "light" }];
  await ask("Emulation.setEmulatedMedia", { media: view.print ? "print" : "", features });
  if (view.language) await ask("Network.setExtraHTTPHeaders", { headers: { "Accept-Language": view.language } });
  await ask("Page.navigate", { url: view.url });
  await isLoaded;
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await ask("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  };
  Object.assign(seen, await evaluate(`({
    title: document.title, lang: document.documentElement.lang, text: document.body.innerText,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  })`));
  const { nodes } = await ask("Accessibility.getFullAXTree");
  seen.images = nodes.filter((node) => ["image", "img"].includes(node.role?.value)).map((node) => node.name?.value ?? "");
  if (view.screenshot) {
    // As tall as the page, so that a person can look at all of it.
    const { cssContentSize } = await ask("Page.getLayoutMetrics");
    const clip = { x: 0, y: 0, width, height: Math.min(Math.max(height, cssContentSize.height), 8000), scale: 1 };
    const { data } = await ask("Page.captureScreenshot", { format: "png", clip, captureBeyondViewport: true });
    writeFileSync(view.screenshot, Buffer.from(data, "base64"));
  }
  for (const key of view.keyboard ?? []) seen.focused.push(await press(ask, evaluate, key));
  // The page's policy lets no script through; the protocol does.
  await evaluate(readFileSync(`${axe}/axe.min.js`, "utf8"));
  const { violations } = await evaluate("axe.run(document, { resultTypes: ['violations'] })");
  seen.violations = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(" | ").slice(0, 600)}`);
  listeners.splice(listeners.indexOf(hear), 1);
  await send("Target.closeTarget", { targetId });
  return seen;
}

// Presses a key, and tells what has the focus then, whether that can be seen, and whether what it opens is open.
async function press(ask, evaluate, key) {
  const keys = { Tab: ["Tab", 9], Enter: ["Enter", 13, "\r"], Space: [" ", 32, " "] };
  const [name, code, text] = keys[key];
  await ask("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", key: name, code: key, windowsVirtualKeyCode: code, text });
  await ask("Input.dispatchKeyEvent", { type: "keyUp", key: name, code: key, windowsVirtualKeyCode: code });
  return evaluate(`(() => {
    const it = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(it);
    const open = it.closest("details")?.open ?? null;
    return { tag: it.tagName, text: it.innerText, outlined: outlineStyle !== "none" && parseFloat(outlineWidth) > 0, open };
  })()`);
}

const views = JSON.parse(readFileSync(0, "utf8"));
const seen = [];
for (const view of views) seen.push(await look(view));
done = true;
console.log(JSON.stringify(seen));
browser.kill();
