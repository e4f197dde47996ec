"""The pages: complete without a network, every figure described, every number from a record."""

import gzip
import re
import runpy
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import yaml

import netrollout
from netrollout.results import Results, sha256
from netrollout.workflow import WorkflowError, build_html, execute, executed, read_graph, stage
from netrollout.workflow.outputs import keep_outputs, outputs_file

ROOT = Path(__file__).resolve().parents[2]
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
TEXT = """Mean {res}`01_a/mean:interval`, share {res}`01_a/share:.1%`, live {res}`01_a/clock`, {res}`01_a/kth.gain`.

$$v = r + \\gamma P v$$

```{restable} 01_a/scores
:format: .2f
```

```{restable} 01_a/kth
```
"""

TRACE = """# schema: 1
# scenario: S2
# plan: {"grid": [1, 2]}
visit,window,t,duration,target_l_compute,l_compute,b_compute,cl_compute,p_compute,d_compute,d_compute_std,d_compute_p90,\
d_compute_p99,n_compute,timeout_compute,d_compute_1,n_compute_1,d_compute_2,n_compute_2,c_1,busy_1,c_2,busy_2,\
foreign_cpu,steal,fault
0,1,0.5,2.0,20,19.5,0,19.5,0.2,0.06,0.05,0.14,0.17,38,0,0.04,6,0.07,32,5,0.02,1,0.5,0.1,0,
1,1,3.5,2.0,20,19.5,0,19.5,0.4,0.05,0.05,0.14,0.17,38,0,0.04,6,0.07,32,5,0.02,1,0.5,0.1,0,
"""


class Page(HTMLParser):
    """Collects every element with its attributes."""

    def __init__(self, path):
        super().__init__()
        self.path, self.elements = path, []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def lay_out(folder, monkeypatch, entry):
    """Lay out a checkout whose book has one notebook, and work in it."""
    shutil.copytree(ROOT / "book", folder / "book")
    (folder / "book" / "intro.md").write_text("# A book\n")  # the real one shows numbers of chapters that are not here
    page = folder / "book" / "results.md"  # its figure is the chapter's
    page.write_text(page.read_text().replace("14_the_size_of_the_change", "01_a"))
    shutil.copy(ROOT / "_config.yml", folder)
    chapters = [
        {"file": "notebooks/01_a"},
        {"file": "book/results", "sections": [{"file": "book/results/01_a"}]},
        {"file": "book/references"},
        {"file": "book/glossary"},
        {"file": "book/statistics"},
        {"file": "book/rl_in_ten_pages"},
        {"file": "book/how_the_package_is_built"},
        {"file": "book/api"},
    ]
    chapters += [{"file": "book/data", "sections": [{"file": "book/data/mesh-none"}, {"file": "book/data/mesh-s9"}]}]
    toc = {"format": "jb-book", "root": "book/intro", "parts": [{"caption": "One", "chapters": chapters}]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc))
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "params.yml").write_text(yaml.safe_dump({"01_a": entry}))
    (folder / "data" / "mesh").mkdir(parents=True)
    (folder / "data" / "mesh" / "s9.csv.gz").write_bytes(gzip.compress(TRACE.encode()))
    monkeypatch.chdir(folder)


def make_site(folder, monkeypatch, publish, text=TEXT):
    """Lay out a checkout with one executed notebook and its record, and build its book."""
    lay_out(folder, monkeypatch, {})
    results = Results("01_a", "quick", {"seed": 1})
    results.value("mean", 12.3456, low=11, high=13, n=40, unit="s", how="bootstrap")
    results.value("share", 0.25)
    results.value("clock", 3.0, unit="s", live=True)
    results.table("scores", ["policy", "value"], [("random", -17.234), ("optimal", None)])
    results.not_run("kth", "the published traces were not fetched (--from FOLDER)")
    publish(results)
    show = nbformat.v4.new_output("display_data", data={"image/png": PIXEL})
    cell = nbformat.v4.new_code_cell("plot()", execution_count=1, outputs=[show])
    cell.metadata["mystnb"] = {"image": {"alt": "one pixel"}}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# One"), cell, nbformat.v4.new_markdown_cell(text)],
        metadata=KERNEL,
    )
    target = executed(folder, "quick", "01_a")
    target.parent.mkdir(parents=True)
    nbformat.write(notebook, target)
    nbformat.write(notebook, folder / "notebooks" / "01_a.ipynb")
    stage(folder, "quick")
    build_html(folder)
    return folder / "build" / "html"


@pytest.fixture(scope="module")
def site(tmp_path_factory, publish):
    with pytest.MonkeyPatch.context() as monkeypatch:
        return make_site(tmp_path_factory.mktemp("site"), monkeypatch, publish)


@pytest.fixture(params=["a small site", "the book"])
def pages(request):
    """Pages of a site built for this test, and of the book where it has been built."""
    if request.param == "a small site":
        html = request.getfixturevalue("site")
    elif (ROOT / "build" / "html" / "index.html").is_file():
        html = ROOT / "build" / "html"
    else:
        pytest.skip("the book has not been built here (make book)")
    return [Page(path) for path in html.rglob("*.html") if "_static" not in path.parts]


def test_no_page_refers_to_a_script_style_font_or_figure_elsewhere(pages):
    for page in pages:
        sources = [item.get("src") for tag in ("script", "img", "iframe", "source") for item in page.all(tag)]
        sources += [item.get("href") for item in page.all("link") if item.get("rel") != "canonical"]
        assert not [source for source in sources if source and source.startswith(("http:", "https:", "//"))], page.path
        assert not [host for host in ("unpkg.com", "cdnjs", "jsdelivr", "googleapis") if host in page.text], page.path


def test_every_local_script_style_and_figure_is_there(pages):
    for page in pages:
        sources = [item.get("src") for tag in ("script", "img") for item in page.all(tag)]
        sources += [item.get("href") for item in page.all("link") if item.get("rel") == "stylesheet"]
        for source in filter(None, sources):
            assert source.startswith("data:") or (page.path.parent / source.split("?")[0]).is_file(), (
                page.path,
                source,
            )


def test_every_figure_has_a_text_in_its_place(pages):
    for page in pages:
        missing = [
            item for item in page.all("img") if not item.get("alt") or item["alt"].startswith(("../_images", "_images"))
        ]
        assert not missing, f"{page.path}: give the cell the metadata mystnb.image.alt"


def test_every_page_says_which_profile_made_it(pages):
    for page in pages:
        if page.path.name != "index.html":  # only sends the reader on to the first page
            assert "Made by the quick profile" in page.text or "Made by the full profile" in page.text, page.path


def test_search_and_dark_mode_work_from_the_build(pages):
    page = next(page for page in pages if page.path.name == "intro.html")
    assert (page.path.parents[1] / "searchindex.js").is_file()
    assert "theme-switch-button" in page.text


def test_without_its_data_a_chapter_shows_the_full_results_and_says_so(tmp_path, monkeypatch, publish):
    monkeypatch.setenv("NETROLLOUT_DATA", str(tmp_path / "fetched"))
    lay_out(tmp_path, monkeypatch, {"data": ["kth"]})
    trace = tmp_path / "data" / "mesh" / "s9.csv.gz"
    results = Results("01_a", "full", {"seed": 1}, data={"kth_traces": trace})
    results.value("gain", 0.75, low=0.5, high=1, unit="req/s")
    publish(results)
    cell = nbformat.v4.new_code_cell("plot()")
    cell.metadata["mystnb"] = {"image": {"alt": "one pixel"}}
    text = [
        nbformat.v4.new_markdown_cell(words) for words in ("# One\n\nIntroduction.", "Gain {res}`01_a/gain:interval`.")
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=[text[0], cell, text[1]]), tmp_path / "notebooks" / "01_a.ipynb")
    execute(tmp_path, "quick", "01_a", read_graph(tmp_path)["01_a"])
    stage(tmp_path, "quick")
    build_html(tmp_path)
    page = (tmp_path / "build" / "html" / "notebooks" / "01_a.html").read_text(encoding="utf-8")
    assert '<span class="result">0.75 (0.5 to 1)\u00a0req/s</span>' in page
    assert page.index("Not run here") < page.index("Introduction.")
    words = re.sub("<[^>]*>", "", page)
    assert sha256(trace)[:12] in words and "netrollout data fetch kth" in words and "one pixel" in words
    overview = (tmp_path / "build" / "html" / "book" / "results" / "01_a.html").read_text(encoding="utf-8")
    assert "The full run" in overview and "The quick run" not in overview


def test_every_public_name_has_an_anchor_and_an_entry_of_the_index(site):
    page = (site / "book" / "api.html").read_text(encoding="utf-8")
    index = (site / "genindex.html").read_text(encoding="utf-8")
    names = [f"netrollout.{name}" for name in netrollout.__all__ if name not in ("__version__", "systems")]
    for anchor in [*names, "netrollout.rollout.lookahead.rollout_table", "netrollout.experiment.Table"]:
        assert f'id="{anchor}"' in page and f'href="book/api.html#{anchor}"' in index, anchor
    assert page.count("highlight-pycon") == len(names)  # examples


def test_the_picture_of_the_layers_is_drawn_from_the_imports(site):
    page = (site / "book" / "how_the_package_is_built.html").read_text(encoding="utf-8")
    assert page.count('<rect x="') > 20 and ">rollout</text>" in page and "<figcaption>" in page


def chapter(site):
    return (site / "notebooks" / "01_a.html").read_text(encoding="utf-8")


def test_the_role_shows_value_interval_unit_and_format(site):
    text = chapter(site)
    assert '<span class="result">12.3 (11 to 13)\u00a0s</span>' in text
    assert '<span class="result">25.0%</span>' in text
    assert '<span class="result">3\u00a0s (measured live on 20' in text


def test_what_was_not_run_says_why(site):
    sentence = "ot run here, because the published traces were not fetched (--from FOLDER)"
    assert chapter(site).count(sentence) == 2  # in the sentence, and in place of the table


def test_the_table_is_shown_in_its_format(site):
    assert "<p>\u221217.23</p>" in chapter(site) and "<p>\u2013</p>" in chapter(site)


@pytest.fixture(scope="module")
def both(tmp_path_factory, publish):
    """A site whose chapter was published and ran here with other budgets."""
    folder = tmp_path_factory.mktemp("both")
    with pytest.MonkeyPatch.context() as monkeypatch:
        lay_out(folder, monkeypatch, {})
        for profile, gain, rows in (("full", 37.0, 9), ("quick", 12.0, 2)):
            results = Results("01_a", profile, {"n": rows})
            results.value("gain", gain)
            results.table("long", ["row"], [[row] for row in range(rows)])
            results.value("new", 5) if profile == "quick" else None
            publish(results)
            shown = [nbformat.v4.new_output("stream", text=f"printed {gain:.0f}")]
            cell = nbformat.v4.new_code_cell("print(gain)", execution_count=1, outputs=shown)
            text = nbformat.v4.new_markdown_cell(
                "Gain {res}`01_a/gain`, new {res}`01_a/new`.\n\n```{restable} 01_a/long\n```"
            )
            cells = [nbformat.v4.new_markdown_cell("# One\n\nBegin."), cell, text]
            target = executed(folder, profile, "01_a")
            target.parent.mkdir(parents=True)
            nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), target)
            nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), folder / "notebooks" / "01_a.ipynb")
        keep_outputs(executed(folder, "full", "01_a"), outputs_file(folder, "01_a"))
        stage(folder, "quick")
        build_html(folder)
    return folder / "build" / "html"


def test_a_quick_build_shows_the_published_run_and_what_was_computed_here_closed(both):
    text = chapter(both)
    assert '<span class="result">37</span>' in text, "the sentence has the published number"
    assert '<span class="result">5 (quick run)</span>' in text, "what was not published yet is what was found here"
    assert text.index("full profile, no commit") < text.index("Begin.")
    assert text.index("printed 37") < text.index("The same, as this machine computed it") < text.index("printed 12")
    assert "What this machine computed (quick profile)" in text and "(9 rows)" in text, "a long table is closed"


def test_mathematics_is_drawn_by_the_copy_in_the_build(site):
    assert "../_static/mathjax/tex-svg-full.js" in chapter(site)


def test_the_results_page_of_a_chapter_shows_parameters_values_and_closed_tables(site):
    text = (site / "book" / "results" / "01_a.html").read_text(encoding="utf-8")
    assert "The quick run" in text and "seed = 1" in text and "no commit" in text
    assert "not run here, because the published traces were not fetched (--from FOLDER)" in text
    assert text.count("dropdown") >= 2 and "scores (quick run)" in text


def test_no_page_is_too_long_to_read(pages):
    for page in pages:
        if "/book/results" in page.path.as_posix():
            assert len(page.text) <= 250_000, page.path
            assert len(re.sub("<[^>]*>", " ", page.text).split()) <= 10_000, page.path


def test_figures_and_tables_have_numbers_and_captions(site):
    text = chapter(site)
    assert 'class="caption-number">Fig. 1 </span><span class="caption-text">one pixel.' in text
    assert 'class="caption-number">Table 1 </span><span class="caption-text">Scores' in text


def test_a_trace_has_a_page_with_its_header_counts_columns_and_figure(site):
    page = Page(site / "book" / "data" / "mesh-s9.html")
    for words in ("scenario", "configurations", "mean response time, s; empty when nothing completed", "The plan"):
        assert words in page.text
    (figure,) = [item for item in page.all("img") if "mesh-s9" in item["src"]]
    assert "compute: median 0.055 s, from 0.05 s to 0.06 s" in figure["alt"]


def test_a_trace_that_is_not_shipped_has_its_page(site):
    assert "This trace is not shipped" in (site / "book" / "data" / "mesh-none.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{res}`01_a/loss`", "no value 'loss' in the results of 01_a; known are clock, kth, mean, share"),
        ("{res}`09_z/mean`", "no results of notebook 09_z are there"),
        ("```{restable} 01_a/mean\n```", "no table 'mean' in the results of 01_a; known are kth, scores"),
    ],
)
def test_an_unknown_result_stops_the_build_and_names_the_page(tmp_path, monkeypatch, publish, text, message):
    with pytest.raises(WorkflowError) as caught:
        make_site(tmp_path, monkeypatch, publish, text)
    assert message in str(caught.value) and "01_a.ipynb" in str(caught.value)


def test_a_published_run_of_an_earlier_version_of_a_chapter_is_not_shown_as_its_result():
    module = runpy.run_path(str(ROOT / "book" / "_ext" / "results.py"))
    now = {"parameters": {"folds": 2, "seed": 0}}
    assert module["earlier"]({"parameters": {"refits": 4, "seed": 0}}, now)
    assert not module["earlier"]({"parameters": {"folds": 10, "seed": 0}}, now)
    assert not module["earlier"](None, now) and not module["earlier"](now, None)
