from sdovis.errors import BadInput, Problem, UnreadableImage, nearest


def test_a_problem_is_one_line_that_says_file_sheet_row_column_and_the_way_out():
    problem = Problem("label 'Bta' is unknown", "did you mean 'Beta'?", "a.xlsx", "Regions", 7, "Mount Wilson")
    expected = "a.xlsx, sheet 'Regions', row 7, column 'Mount Wilson': label 'Bta' is unknown; did you mean 'Beta'?"
    assert str(problem) == expected


def test_a_cell_with_line_breaks_and_control_characters_cannot_break_the_line():
    assert str(Problem("label 'a\nb\x1b[31m' is unknown")) == "label 'a b [31m' is unknown"


def test_bad_input_carries_every_problem_and_exit_code_2():
    error = BadInput([Problem("one"), Problem("two")])
    assert [p.what for p in error.problems] == ["one", "two"]
    assert str(error) == "one\ntwo"
    assert error.exit_code == 2


def test_an_unreadable_image_says_which_and_why():
    error = UnreadableImage("x.fits", "truncated")
    assert str(error) == "x.fits: truncated"
    assert (error.path.name, error.why, error.exit_code) == ("x.fits", "truncated", 2)


def test_the_nearest_name_is_offered_and_else_all_of_them():
    assert nearest("mcintsh-z", ["mount-wilson", "mcintosh-z"]) == "did you mean 'mcintosh-z'?"
    assert nearest("zzz", ["a", "b"]) == "choose one of a, b"
