"""How the live page looks: what a screenshot would show, asserted, and the screenshots."""

from live_page import actor, opened, whole
from login_check import PATIENCE
from report_check import COLOURS, CONTRAST, WIDTHS


def filled(server):
    """A contact centre at work, for the screenshots."""
    agents = ["ana.souza@example.com", "bruno@example.com", "carla.mendes@example.com", "davi@example.com"]
    for number in range(200, 230):
        theirs = f"+55119{(number * 7919331) % 10**8:08d}"
        events = whole(number, 560 + 19 * (number - 200), theirs, agents[number % 4])
        events.insert(3, actor(number, "ringing", 565 + 19 * (number - 200), agents[number % 4]))
        server.post(*events[:8 if number < 218 else (number * 5) % 8 + 1])


LAYOUT = """() => {
  const faults = [], name = element => `${element.tagName}.${element.className} ${element.textContent.trim().slice(0, 30)}`;
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`the page is ${document.documentElement.scrollWidth} wide`);
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    if (box.width === 0 || element.closest(".unseen")) continue;
    const tile = element.closest(".tile");
    if (tile && box.right > tile.getBoundingClientRect().right) faults.push("beyond its tile: " + name(element));
    if (box.right > innerWidth + .5 || box.left < -.5) faults.push("beyond the edge: " + name(element));
    if (element.matches(".number, .since, .updated, .lasts, .state, .id, .tile .name, .count, button, #shown, h2, dd, #events p, #events time") && element.scrollWidth > element.clientWidth + 1
      && getComputedStyle(element).display !== "inline") faults.push("does not fit: " + name(element));
  }
  const overlap = (a, b) => a.width && b.width && a.left < b.right - .5 && b.left < a.right - .5 && a.top < b.bottom - .5 && b.top < a.bottom - .5;
  for (const group of [".tile", "#tools > *", "header > *", "#app > main > *", "#events > li", "#rows > .row", ".row[aria-rowindex='2'] > *"]) {
    const all = [...document.querySelectorAll(group)], boxes = all.map(element => element.getBoundingClientRect());
    boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => { if (overlap(a, b)) faults.push(`${name(all[i])} lies over ${name(all[i + 1 + j])}`); }));
  }
  return faults;
}"""


def looks_right(chromium, server, name, scheme, shots):
    width, height = WIDTHS[name]
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce", locale="en-US",
                                   has_touch=name == "phone")
    context.set_default_timeout(PATIENCE * 1000)

    def shot(it, what):
        it.page.screenshot(path=shots / f"live-{what}-{name}-{scheme}.png")
        faults = it.page.evaluate(LAYOUT)
        assert not faults, f"{what}, {name}, {scheme}: {faults[:10]}"
        low = [(round(contrast, 2), text) for contrast, text in it.page.evaluate(COLOURS) if contrast < CONTRAST]
        assert not low, f"{what}, {name}, {scheme}: {low[:10]}"

    with opened(context, server) as it:
        it.page.goto(server.address + "/")
        shot(it, "door")
        it.enter().live()
        it.page.get_by_label("Search by call").fill("1463669263.2")
        it.page.get_by_label("Search by call").fill("")
        first = it.row(225)
        it.expect(first.locator(".theirs")).not_to_be_empty()
        shot(it, "list")
        first.click()
        it.expect(it.page.locator("#events > li").first).to_be_visible()
        shot(it, "call")
        assert it.page.evaluate("() => document.getAnimations().length") == 0, "something moves where nothing should"
        if name == "phone":
            it.page.go_back()
            it.expect(it.page.locator("#detail")).to_be_hidden()
            assert it.page.url == server.address + "/"
    context.close()
