import json
import re

from components.core.html.embedding import embedding_html

HOSTILE = "</script><script>alert(1)</script>"


def point(**changes):
    texts = {"class": "", "diagnosis": "", "patient": "", "arm": "", "domain": "A"}
    return {"x": 0.0, "y": 1.0, **texts, "role": "source", "tile": "data:image/jpeg;base64,", **changes}


def data_of(page):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[1])


def test_names_travel_as_data_and_cannot_end_the_script():
    page = embedding_html([point(domain=HOSTILE)], "map")
    assert HOSTILE not in page
    assert data_of(page)["colourings"]["domain"]["names"] == [HOSTILE]
    assert page.count("<script") == page.count("</script>") == 2


def test_every_point_has_its_place_and_its_colour():
    points = [point(x=1.5, domain="B"), point(x=2.5, domain="A", arm="bi100"), point(x=3.5, domain="B")]
    data = data_of(embedding_html(points, "map"))
    assert data["layouts"] == {"2-D": [[1.5, 2.5, 3.5], [1.0, 1.0, 1.0]]}
    assert data["colourings"]["domain"]["index"] == [1, 0, 1]
    assert data["colourings"]["arm"]["index"] == [-1, 0, -1]
    assert list(data["colourings"]) == ["domain", "arm"]


def test_three_dimensions_are_offered_where_the_points_have_them():
    data = data_of(embedding_html([point(x3=1.0, y3=2.0, z3=3.0)], "map"))
    assert data["layouts"]["3-D"] == [[1.0], [2.0], [3.0]]


def test_no_points_no_script():
    assert "<script" not in embedding_html([], "map")
