mod fake;
mod limits;
mod order;
mod rooms;
mod turns;
