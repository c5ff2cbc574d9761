//! Watches the rooms. One that fails harms no other: it is taken off the registry, its sessions come back by themselves and start it
//! again from the journal, and one that fails again and again rests for a while ([`super::registry`]).

use super::Shared;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::sync::Arc;

/// The supervisor gets no messages, only events of its rooms.
pub(crate) enum Nothing {}

pub(crate) struct Supervisor;

impl Actor for Supervisor {
    type Msg = Nothing;
    type State = Arc<Shared>;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, _: ActorRef<Nothing>, shared: Arc<Shared>) -> Result<Arc<Shared>, ActorProcessingErr> {
        Ok(shared)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Nothing>,
        event: SupervisionEvent,
        shared: &mut Arc<Shared>,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(actor, error) => shared.registry.failed(actor.get_id(), &*error),
            SupervisionEvent::ActorTerminated(actor, _, _) => shared.registry.ended(actor.get_id()),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}
