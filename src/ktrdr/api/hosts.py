"""`/hosts`: the registry of host services."""

from fastapi import APIRouter
from pydantic import Field

from ktrdr.api.shared import ADMIN, READ, Body, HostName, Service
from ktrdr.contracts.hosts import HostEntry, HostReport, host_entry
from ktrdr.web.problems import answers

router = APIRouter(prefix="/hosts", tags=["hosts"])


class NewHost(Body):
    """A host service to train on."""

    name: str = Field(min_length=1, max_length=60, examples=["gpu1"])
    url: str = Field(max_length=300, description="scheme, name and port, nothing more", examples=["https://gpu1:8100"])
    price_per_hour: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="what an hour of training there costs", examples=[1.5]
    )


@router.get("", responses=answers(), dependencies=[READ])
async def list_hosts(client: Service, fresh: bool = False) -> list[HostReport]:
    """Every host with its health: as it was found seconds ago, or asked anew."""
    return await client.hosts(fresh=fresh)


@router.post("", status_code=201, responses=answers(409), dependencies=[ADMIN])
async def add_host(body: NewHost, client: Service) -> HostEntry:
    """Register a host service."""
    return await client.add_host(host_entry(body.name, body.url, body.price_per_hour))


@router.delete("/{name}", responses=answers(404, 409), dependencies=[ADMIN])
async def remove_host(name: HostName, client: Service) -> HostEntry:
    """Forget a host service; trainings that run there are still followed."""
    return await client.remove_host(name)
