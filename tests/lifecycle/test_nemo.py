"""Stages that have nothing for NeMo models say so before anything is computed."""

from __future__ import annotations

import dataclasses

import pytest

from lifecycle.base_engine import make_base_engine
from lifecycle.engine import make_engine
from lifecycle.nemo import TRAINED
from lifecycle.stages import GROUPS, check_group, run_group
from lifecycle.workspace import Workspace, open_workspace
from voiceforge.errors import UsageError
from voiceforge.settings import Settings


@pytest.fixture()
def nemo(settings: Settings) -> Workspace:
    workspace = open_workspace("telephony-en", settings)
    training = workspace.domain.training.model_copy(update={"backend": "nemo"})
    domain = workspace.domain.model_copy(update={"training": training})
    return dataclasses.replace(workspace, domain=domain)


def test_groups_that_need_an_engine_are_refused_with_what_can_be_done(nemo: Workspace) -> None:
    refused = [group for group in GROUPS if group not in TRAINED]
    assert refused == ["engine", "evaluation", "promotion"]
    for group in refused:
        with pytest.raises(
            UsageError, match=rf"The stage {group} cannot be done.*stage merged_model --domain"
        ):
            run_group(nemo, group)
    for make in (make_base_engine, make_engine):
        with pytest.raises(UsageError, match="builds no engines for NeMo models"):
            make(nemo)
    for group in TRAINED:
        check_group(group)


def test_agreement_which_needs_an_engine_is_refused_before_the_corpus(nemo: Workspace) -> None:
    assert nemo.domain.validation.agreement.enabled
    with pytest.raises(UsageError, match=r"validation\.agreement\.enabled of telephony-en is true"):
        run_group(nemo, "corpus")
    assert not nemo.corpus.exists()
