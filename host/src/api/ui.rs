//! Pages for people, under `/`.

use axum::Router;

use super::ApiState;

/// The pages' routes.
pub fn router() -> Router<ApiState> {
    Router::new()
}
