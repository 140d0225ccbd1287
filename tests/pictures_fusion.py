"""A fusion for tests that looks at references: the simplest that does."""

from __future__ import annotations

import locstyle as ls


class Pictures:
    """Every region's prediction is drawn towards those of its references' rows."""

    carries = frozenset({"reference", "deltas"})
    requires_roles = frozenset({"self"})

    def __init__(self) -> None:
        self.inversion = ls.Inversion()
        self.scenes: list[ls.Scene] = []

    def plan(self, scene: ls.Scene) -> ls.Plan:
        self.scenes.append(scene)
        shares = scene.shares()[1:]
        used = [region.references for region in scene.regions]
        unique = dict.fromkeys(reference for group in used for reference in group)
        rows = {reference: f"style {i}" for i, reference in enumerate(unique)}

        def compose(predictions, call):
            drawn = predictions["+"]
            for share, group in zip(shares, used, strict=True):
                for reference in group:
                    seen = reference.at(*scene.size).to(drawn)
                    towards = predictions[rows[reference]] - predictions["+"]
                    drawn = drawn + 0.3 * share * seen * towards
            return drawn

        donors = (
            ls.Branch(name, scene.empty, 0, reference.trajectory)
            for reference, name in rows.items()
        )
        return ls.Plan(
            branches=(*donors, ls.Branch("+", scene.empty)),
            interventions=(),
            compose=compose,
            hold=scene.outside(),
        )


@ls.hookimpl
def register_fusions(register) -> None:
    register("pictures", Pictures)
