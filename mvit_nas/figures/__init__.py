"""The charts of the pages as plotly figures, for notebooks and papers: ``figures.front(open_study(NAME))``.

Each is a function of a study and shows the numbers of its page. Importing this loads plotly, which nothing else does.
"""

from mvit_nas.figures.ablation import accuracy, forest
from mvit_nas.figures.search import front, hypervolume, learning_curves, parallel_coordinates
from mvit_nas.figures.what_matters import effects, importance
from mvit_nas.results.reading import open_study

__all__ = [
    "accuracy",
    "effects",
    "forest",
    "front",
    "hypervolume",
    "importance",
    "learning_curves",
    "open_study",
    "parallel_coordinates",
]
