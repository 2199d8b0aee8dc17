"""Studies: one specification over several seeds, with statistics."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.http import models
from api.http.lookup import study_named
from api.http.negotiation import JSON, ConditionalRoute, offering
from api.http.present import PREFIX
from api.http.problems import responses
from api.http.service import Here
from ruleforge.store import Store
from workers.study import study_result

router = APIRouter(prefix=PREFIX, tags=["studies"], route_class=ConditionalRoute)


def study_object(store: Store, id: str) -> models.Study:
    """A study as it stands."""
    return models.Study(**study_result(store, id), links={"self": f"{PREFIX}/studies/{id}"})


@router.get("/studies/{id}", responses=responses(404), dependencies=[Depends(offering(JSON))])
def get_study(here: Here, id: str) -> models.Study:
    """A study: its jobs, and what they say together so far."""
    return study_object(here.store, study_named(here, id).id)
