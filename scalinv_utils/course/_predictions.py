"""Questions to commit to before a picture is shown: the live form of them, made of widgets."""

import html
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import ipywidgets


class Question(NamedTuple):
    """A question with choices, to be answered before the picture is shown.

    Attributes
    ----------
    text : str
    choices : sequence of str
    right : str
        One of the choices.
    because : str
        One sentence or two, with the number that decides: it is shown beside the choice.

    Examples
    --------
    >>> from scalinv_utils.course.widgets import Question
    >>> question = Question("Is 7 prime?", ("yes", "no"), "yes", "Only 1 and 7 divide it.")
    >>> question.verdict("no")
    'You chose no; it is yes. Only 1 and 7 divide it.'
    """

    text: str
    choices: Sequence[str]
    right: str
    because: str

    def verdict(self, chosen: str | None) -> str:
        """Say if the choice is right, and why; None stands for no choice."""
        if chosen is None:
            return f"Answer: {self.right}. {self.because}"
        if chosen == self.right:
            return f"Right. {self.because}"
        return f"You chose {chosen}; it is {self.right}. {self.because}"

    def data(self) -> dict[str, Any]:
        """Return what the stored form of the question needs."""
        right = list(self.choices).index(self.right)
        return {**self._asdict(), "choices": list(self.choices), "right": right}


def checked(questions: Sequence[Question]) -> list[Question]:
    """Return the questions, each with its right answer among its choices.

    Raises
    ------
    ValueError
        A right answer is not among the choices.
    """
    for question in questions:
        if question.right not in question.choices or len(question.choices) < 2:
            raise ValueError(
                f"predict: the choices of {question.text!r} must be two or more, "
                f"{question.right!r} among them, got {list(question.choices)}"
            )
    return list(questions)


class Predictions(ipywidgets.VBox):
    """The questions as widgets; `shown` is called once all are answered or passed over.

    Attributes
    ----------
    choices : list of ipywidgets.ToggleButtons
    verdicts : list of ipywidgets.HTML
    skip : ipywidgets.Button

    Examples
    --------
    >>> from scalinv_utils.course._predictions import Predictions, Question
    >>> box = Predictions([Question("1 + 1?", ("2", "3"), "2", "Count.")], lambda: print("shown"))
    >>> box.choices[0].value = "2"
    shown
    >>> box.verdicts[0].value
    'Right. Count.'
    """

    def __init__(self, questions: Sequence[Question], shown: Callable[[], object]):
        self.questions, self._shown = list(questions), shown
        self.choices = [_buttons(question) for question in self.questions]
        self.verdicts = [ipywidgets.HTML() for _ in self.questions]
        narrow = {"width": "auto", "align_self": "flex-start"}
        self.skip = ipywidgets.Button(description="Show without choosing", layout=narrow)
        self.skip.on_click(lambda button: self.reveal())
        rows = [ipywidgets.HTML("<b>Predict first</b>")]
        for question, choice, verdict in zip(self.questions, self.choices, self.verdicts):
            rows += [ipywidgets.HTML(html.escape(question.text)), choice, verdict]
            choice.observe(lambda change: self._reveal_if_done(), "value")
        super().__init__([*rows, self.skip])

    def _reveal_if_done(self) -> None:
        if all(choice.value is not None for choice in self.choices):
            self.reveal()

    def reveal(self) -> None:
        """Judge each choice and show what was covered."""
        for question, choice, verdict in zip(self.questions, self.choices, self.verdicts):
            verdict.value = html.escape(question.verdict(choice.value))
            choice.disabled = True
        self.skip.layout.display = "none"
        self._shown()


def _buttons(question: Question) -> ipywidgets.ToggleButtons:
    width = {"button_width": "auto"}
    return ipywidgets.ToggleButtons(options=list(question.choices), value=None, style=width)
