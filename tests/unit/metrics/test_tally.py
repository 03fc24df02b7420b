"""Documents grouped by equal counts."""

from eat_worker.metrics.tally import Tally, with_partial

RIGHT = {"strict/PER": (2, 0, 0), "span/PER": (1, 0, 0), "lenient/PER": (1, 0, 0), "official/PER": (2, 0, 0)}
NEAR = {"strict/LOC": (0, 1, 1), "span/LOC": (0, 1, 1), "lenient/LOC": (1, 0, 0)}


def test_partial_and_all_tags_together_are_made_of_what_is_counted():
    counts = with_partial({**RIGHT, **NEAR})
    assert (counts["partial/PER"], counts["partial/LOC"], counts["partial"]) == ((2, 0, 0), (1, 1, 1), (3, 1, 1))
    assert (counts["strict"], counts["span"], counts["lenient"]) == ((2, 1, 1), (1, 1, 1), (2, 0, 0))
    assert counts["official"] == (2, 0, 0)


def test_a_document_without_counts_adds_only_itself():
    assert with_partial({}) == {}
    tally = Tally()
    tally.add({}, 3)
    assert tally.documents == 3
    assert tally.everything() == (
        {
            "strict": ((3, 0, 0, 0),),
            "official": (),
            **dict.fromkeys(("span", "lenient", "partial"), ((3, 0, 0, 0),)),
        },
        {},
    )


def test_rows_are_all_documents_by_their_counts():
    tally = Tally()
    tally.add(RIGHT, 2)
    tally.add(NEAR)
    tally.add(RIGHT)
    rows, by_tag = tally.everything()
    assert rows["span"] == ((1, 0, 1, 1), (3, 1, 0, 0))
    assert rows["official"] == ((3, 2, 0, 0),)  # the released scorer does not count the other one
    assert by_tag["lenient/LOC"] == ((3, 0, 0, 0), (1, 1, 0, 0))
    assert tally.tag_keys() == sorted([*RIGHT, *NEAR, "partial/LOC", "partial/PER"])
    assert (tally.entities("span"), tally.entities("lenient"), tally.entities("absent")) == (8, 8, 0)
