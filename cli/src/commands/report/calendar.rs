//! Months as grids: a day in its colour, with the word for it, linked to its row.

use callvault_pipeline::report::{DayEntry, Overview, Standing};

use super::html::Html;
use super::words;

const WEEKDAYS: [(&str, &str); 7] = [
    ("Mo", "Monday"),
    ("Tu", "Tuesday"),
    ("We", "Wednesday"),
    ("Th", "Thursday"),
    ("Fr", "Friday"),
    ("Sa", "Saturday"),
    ("Su", "Sunday"),
];

pub(super) fn write(html: &mut Html, overview: &Overview) {
    html.raw("<section aria-labelledby=\"calendar\">\n<h2 id=\"calendar\">Days</h2>\n<dl class=\"legend\">\n");
    for standing in Standing::ALL {
        let days = overview.standing(standing);
        if days > 0 {
            let (class, word, meaning) = words::of(standing);
            html.raw("<div><dt><span class=\"key ").text(class).raw("\">").text(word).raw("</span></dt><dd>");
            html.text(days).raw(if days == 1 { " day " } else { " days " }).text(meaning).raw("</dd></div>\n");
        }
    }
    html.raw("</dl>\n<div class=\"months\">\n");
    let same_month = |a: &DayEntry, b: &DayEntry| a.day.date().first_of_month() == b.day.date().first_of_month();
    for month in overview.days.chunk_by(same_month) {
        write_month(html, month);
    }
    html.raw("</div>\n</section>\n");
}

fn write_month(html: &mut Html, days: &[DayEntry]) {
    let Some(first) = days.first() else { return };
    html.raw("<table class=\"month\"><caption>")
        .text(first.day.date().strftime("%B %Y"))
        .raw("</caption>\n<thead><tr>");
    for (short, long) in WEEKDAYS {
        html.raw("<th scope=\"col\" abbr=\"").text(long).raw("\">").text(short).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody><tr>");
    let mut column = 0;
    while column < first.day.date().weekday().to_monday_zero_offset() {
        html.raw("<td></td>");
        column += 1;
    }
    for day in days {
        if column == 7 {
            html.raw("</tr>\n<tr>");
            column = 0;
        }
        write_day(html, day);
        column += 1;
    }
    while column < 7 {
        html.raw("<td></td>");
        column += 1;
    }
    html.raw("</tr></tbody></table>\n");
}

fn write_day(html: &mut Html, day: &DayEntry) {
    let (class, word, _) = words::of(day.standing);
    html.raw("<td><a class=\"day ").text(class).raw("\" href=\"#d").text(day.day).raw("\">");
    html.raw("<time datetime=\"").text(day.day).raw("\">").text(day.day.date().day()).raw("</time> ");
    html.raw("<small>").text(word).raw("</small></a></td>");
}
