//! How often the judge is asked: he bans nobody while he answers.
//!
//! However many look at the page, one question is asked at a time, and after each the judge is left alone for ten times as long as it
//! took him. So the page has a tenth of his time at the most.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use crate::api::problem::Problem;

/// How many times as long as an answer took nothing is asked.
const REST: u32 = 10;
/// Questions that wait.
const MOST: usize = 16;
/// How long one waits at the most.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whose turn it is to ask.
pub(super) struct Turns {
    places: Arc<Semaphore>,
    /// From when on the next may ask.
    rested: Arc<Mutex<Instant>>,
}

/// The right to ask one question.
pub(super) struct Turn {
    rested: OwnedMutexGuard<Instant>,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST)),
            rested: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Waits until a question may be asked.
    ///
    /// # Errors
    ///
    /// Where too many wait, or for too long.
    pub(super) async fn take(&self) -> Result<Turn, Problem> {
        let busy = || {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many look at the page; try again in a moment",
            )
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let turn = async {
            let rested = Arc::clone(&self.rested).lock_owned().await;
            sleep_until(*rested).await;
            rested
        };
        Ok(Turn {
            rested: timeout(PATIENCE, turn).await.map_err(|_| busy())?,
            _place: place,
        })
    }
}

impl Turn {
    /// Asks a question, whose answer comes with the time that it took the judge. Once it is asked it is answered, and rested after, also
    /// when nobody waits for the answer any more: else whoever hangs up and asks again would keep the judge at it.
    ///
    /// # Errors
    ///
    /// As the question's own.
    pub(super) async fn ask<T: Send + 'static>(
        self,
        question: impl Future<Output = Result<(T, Duration), Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let begun = Instant::now();
        let asked = tokio::spawn(async move {
            let answer = question.await;
            let took = answer.as_ref().map_or_else(|_| begun.elapsed(), |(_, took)| *took);
            self.rest(took);
            answer.map(|(answer, _)| answer)
        });
        let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the question was not answered");
        asked.await.map_err(broken)?
    }

    /// The question was answered, which took so long.
    fn rest(mut self, time: Duration) {
        *self.rested = Instant::now() + time.saturating_mul(REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn the_judge_rests_ten_times_as_long_as_an_answer_took() {
        run(async {
            let turns = Turns::new();
            let begun = Instant::now();
            let turn = turns.take().await.unwrap();
            turn.ask(async { Ok(((), Duration::from_millis(10))) }).await.unwrap();
            let _turn = turns.take().await.unwrap();
            assert!(begun.elapsed() >= Duration::from_millis(100));
        });
    }

    #[test]
    fn the_judge_rests_also_after_a_question_of_somebody_who_has_hung_up() {
        run(async {
            let turns = Turns::new();
            let begun = Instant::now();
            let turn = turns.take().await.unwrap();
            let question = async move {
                sleep_until(begun + Duration::from_millis(10)).await;
                Ok(((), Duration::from_millis(10)))
            };
            assert!(timeout(Duration::from_millis(1), turn.ask(question)).await.is_err());
            let _turn = turns.take().await.unwrap();
            assert!(begun.elapsed() >= Duration::from_millis(110));
        });
    }

    #[test]
    fn so_many_wait_for_their_turn_and_no_more() {
        run(async {
            let turns = Arc::new(Turns::new());
            let first = turns.take().await.unwrap();
            let wait = |turns: Arc<Turns>| async move { turns.take().await.is_ok() };
            let waiting: Vec<_> = (1..MOST).map(|_| tokio::spawn(wait(Arc::clone(&turns)))).collect();
            tokio::task::yield_now().await;
            assert!(turns.take().await.is_err(), "there is no place left");
            drop(first);
            for waiting in waiting {
                assert!(waiting.await.unwrap(), "each has its turn");
            }
            assert!(turns.take().await.is_ok());
        });
    }
}
