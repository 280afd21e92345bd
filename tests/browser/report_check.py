#!/usr/bin/env python3
"""The page of `callvault report` in a real browser: what a screenshot would show, asserted. Run by `make browser-test`.

At desktop and phone widths, light and dark: nothing runs over the page's edge, nothing lies over its neighbour, every text has
enough contrast, every day is there, no request leaves the page, and its policy holds. Screenshots are left in target/browser.
"""

import datetime
import pathlib
import sys
import tempfile

from login_check import CALLVAULT, FLAGS, PATIENCE, Program, browser

WIDTHS = {"desktop": (1280, 900), "phone": (360, 740)}
# The least contrast of text by WCAG 2, level AA.
CONTRAST = 4.5

LAYOUT = """() => {
  const faults = [], name = element => element.tagName + "." + (element.getAttribute("class") || "") + " " + element.textContent.trim().slice(0, 30);
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) faults.push(`the page is ${root.scrollWidth} wide`);
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    if (!element.closest(".frame") && box.width && (box.right > innerWidth + .5 || box.left < -.5)) faults.push("beyond the edge: " + name(element));
    const clips = getComputedStyle(element).overflowX === "hidden" || element.matches("td, th, dd, dt, li, p, h1, h2");
    if (clips && element.scrollWidth > element.clientWidth + 1 && element.clientWidth) faults.push("does not fit: " + name(element));
  }
  const overlap = (a, b) => a.left < b.right - .5 && b.left < a.right - .5 && a.top < b.bottom - .5 && b.top < a.bottom - .5;
  for (const group of ["main > section", ".tiles > div", ".legend > div", ".month", ".day", "header > *", "section > *"]) {
    const all = [...document.querySelectorAll(group)], boxes = all.map(element => element.getBoundingClientRect());
    boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
      if (overlap(a, b)) faults.push(`${name(all[i])} lies over ${name(all[i + 1 + j])}`);
    }));
  }
  return faults;
}"""

COLOURS = """() => {
  const read = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = read(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const seen = [];
  for (const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); walker.nextNode();) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text) continue;
    const [a, b] = [light(read(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    seen.push([(a + .05) / (b + .05), text.slice(0, 30)]);
  }
  return seen;
}"""


def run(folder, simulator, *args, **settings):
    program = Program(*args, folder=folder, GENESYS_URL=simulator, GENESYS_CLIENT_ID="demo", GENESYS_CLIENT_SECRET="demo",
                      **settings)
    code, said = program.ended()
    assert code in (0, 1), said


def make(folder):
    """A ledger with days of every standing, and the report of it; answers the days."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    ago = lambda days: str(today - datetime.timedelta(days=days))
    # Ten conversations: few enough to have none that waits for its upload, enough to have some that are archived or deleted.
    simulator = Program("simulator", "--conversations", "10", "--days", "3", "--day", ago(12), "--rate", "60000", "--job-ms", "100",
                        folder=folder)
    try:
        address = simulator.line("listening on ").removeprefix("listening on ")
        export = lambda day, **settings: run(folder, address, "export", "--from", ago(day), "--to", ago(day), **settings)
        export(12, MEDIA_KINDS="chat")
        export(11)
        export(10)
        run(folder, address, "redrive", "--day", ago(10))
        run(folder, address, "report", "--out", "report.html", "--from", ago(75), "--to", ago(1), SKIP_WEEKDAYS="sunday", LAG_DAYS="3")
    finally:
        simulator.stop()
    return [ago(day) for day in range(75, 0, -1)]


def looks_right(chromium, path, days, name, scheme, shots):
    width, height = WIDTHS[name]
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri(), timeout=PATIENCE * 1000)
    page.screenshot(path=shots / f"report-{name}-{scheme}.png", full_page=True)
    assert not said, said
    assert asked == [path.as_uri()], asked
    faults = page.evaluate(LAYOUT)
    assert not faults, f"{name}, {scheme}: {faults[:10]}"
    colours = page.evaluate(COLOURS)
    low = [(round(contrast, 2), text) for contrast, text in colours if contrast < CONTRAST]
    assert len(colours) > 300 and not low, f"{name}, {scheme}: {low[:10]}"
    for day in days:
        link = page.locator(f'a[href="#d{day}"].day')
        assert link.count() == 1 and page.locator(f'tr[id="d{day}"]').count() == 1, day
        assert str(int(day[-2:])) in link.inner_text(), day
    words = set(page.locator(".day small").all_inner_texts())
    assert words == {"stored", "parked", "open", "missing", "off", "later"}, words
    assert page.locator("table").count() == page.locator("table > caption").count()
    # Another sheet, or a script, that came in somehow would not be applied.
    refused = page.evaluate("""() => new Promise(done => {
      document.addEventListener("securitypolicyviolation", event => done(event.effectiveDirective), {once: true});
      const style = document.createElement("style"); style.textContent = "body { color: red }"; document.head.append(style);
    })""")
    assert refused.startswith("style-src"), refused
    context.close()


def prints(chromium, path):
    """On paper every text is there, in dark ink, whatever the screen was."""
    page = chromium.new_page(color_scheme="dark")
    page.goto(path.as_uri())
    page.emulate_media(media="print")
    low = [one for one in page.evaluate(COLOURS) if one[0] < CONTRAST]
    assert not low, low[:10]
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


def main():
    executable = browser()
    if executable is None:
        print("browser-test: left out, there is no Chromium: install it, or name one in CHROMIUM")
        return 1
    from playwright.sync_api import sync_playwright

    shots = CALLVAULT.parents[1] / "browser"
    shots.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="callvault-browser") as folder, sync_playwright() as playwright:
        folder = pathlib.Path(folder)
        days = make(folder)
        chromium = playwright.chromium.launch(executable_path=executable, headless=True, args=FLAGS)
        for name in WIDTHS:
            for scheme in ["light", "dark"]:
                looks_right(chromium, folder / "report.html", days, name, scheme, shots)
                print(f"browser-test: report, {name}, {scheme} ok")
        prints(chromium, folder / "report.html")
        print("browser-test: report, printed ok")
        chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
