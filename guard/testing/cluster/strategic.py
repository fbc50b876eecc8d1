from guard.testing.cluster.objects import Json
from guard.testing.cluster.patches import merge_patch
from guard.testing.cluster.resources import ResourceType


def strategic_merge(type_: ResourceType, document: Json, patch: Json) -> Json:
    return dict(merge_patch(document, patch))
