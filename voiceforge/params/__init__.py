"""params.yaml: the domains, typed and checked; one module a block."""

from voiceforge.params.base import DOMAIN_NAME as DOMAIN_NAME
from voiceforge.params.base import Consent as Consent
from voiceforge.params.domain import DomainParams as DomainParams
from voiceforge.params.evaluation import EngineParams as EngineParams
from voiceforge.params.evaluation import EvaluationParams as EvaluationParams
from voiceforge.params.evaluation import GateParams as GateParams
from voiceforge.params.evaluation import GatesParams as GatesParams
from voiceforge.params.loading import domain_params as domain_params
from voiceforge.params.loading import load_params as load_params
from voiceforge.params.loading import parse_params as parse_params
from voiceforge.params.sources import SOURCES as SOURCES
from voiceforge.params.sources import ClipsPerAccent as ClipsPerAccent
from voiceforge.params.sources import EspeakSource as EspeakSource
from voiceforge.params.sources import FolderSource as FolderSource
from voiceforge.params.sources import PromptsSource as PromptsSource
from voiceforge.params.sources import Source as Source
from voiceforge.params.sources import Voices as Voices
from voiceforge.params.splits import SplitParams as SplitParams
from voiceforge.params.training import TrainingParams as TrainingParams
from voiceforge.params.validation import AgreementParams as AgreementParams
from voiceforge.params.validation import ValidationParams as ValidationParams
