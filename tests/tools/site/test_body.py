"""Terms of the glossary in a page: the first mention in each section, never in code."""

from scalinv_utils.tools.site import _body, _sources

DEFINITIONS = {"wavelet": "A short wave.", "Morse wavelet": "One of a family.", "frame": "A set."}


def finished(inner):
    return _body.finish(f"<section><h1>T</h1>{inner}</section>", DEFINITIONS, "glossary.html")


def test_the_first_mention_in_a_section_is_linked():
    text = finished("<section><p>Two wavelets, a Wavelet.</p><p>wavelet</p></section>")
    link = '<a class="term" data-definition="A short wave." href="glossary.html">wavelets</a>'
    assert text.count("<a ") == 1 and f"Two {link}, a Wavelet." in text
    assert (
        finished("<section><p>frame</p></section><section><p>frame</p></section>").count("<a ") == 2
    )


def test_the_longest_term_wins():
    assert ">Morse wavelet</a>" in finished("<p>a Morse wavelet</p>")


def test_code_headings_links_and_parts_of_words_are_left_alone():
    for inner in (
        "<p><code>frame</code></p>",
        "<h2>frame</h2>",
        "<p><a>frame</a></p>",
        "<p>reframed</p>",
    ):
        assert 'class="term"' not in finished(inner)


def test_a_page_without_definitions_is_as_it_was():
    body = "<section><p>A frame.</p></section>"
    assert _body.finish(body, {}, "glossary.html") == body


def test_tables_get_a_box_that_scrolls():
    assert '<div class="table-wrapper"><table>' in finished("<table><tr><td>1</td></tr></table>")


def test_every_term_of_the_glossary_is_read():
    terms = _body.terms(_sources.NOTEBOOKS / "glossary.md")
    text = (_sources.NOTEBOOKS / "glossary.md").read_text("utf-8")
    assert len(terms) == text.count("\n- **") > 40
    assert not any(set("$`*\\") & set(definition) - set("\\") for definition in terms.values())
