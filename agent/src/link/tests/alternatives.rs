//! Several addresses of one coordinator.

use super::*;

#[tokio::test]
async fn the_next_address_is_tried_and_the_one_that_works_is_kept() {
    // The first one is nobody's, behind the second one is somebody who goes at once.
    let (nobody, rude) = (bound(), bound().listen(8).unwrap());
    let good = bound().listen(8).unwrap();
    let addresses = [
        nobody.local_addr().unwrap().to_string(),
        rude.local_addr().unwrap().to_string(),
        good.local_addr().unwrap().to_string(),
    ];
    let (_directory, socket, mut states, shutdown, following) = follow(&addresses.join(" "));
    let agent = UnixListener::bind(&socket).unwrap();
    drop(rude.accept().await.unwrap());
    drop(agent.accept().await.unwrap());
    for _ in 0..3 {
        let (mut coordinator, _) = good.accept().await.unwrap();
        let mut agent = agent.accept().await.unwrap().0;
        agent.write_all(b"hello").await.unwrap();
        reads(&mut coordinator, "hello").await;
        is(&mut states, State::Up).await;
        drop((coordinator, agent));
    }
    let again = tokio::time::timeout(Duration::ZERO, rude.accept()).await;
    assert!(again.is_err(), "{again:?}");
    shutdown.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn every_address_that_does_not_answer_is_named() {
    let sockets = [bound(), bound()];
    let addresses: Vec<_> = sockets
        .iter()
        .map(|socket| socket.local_addr().unwrap().to_string())
        .collect();
    let (_directory, _, mut states, shutdown, following) = follow(&addresses.join(" "));
    let (reason, _) = waits(&mut states).await;
    for address in &addresses {
        assert!(reason.contains(address), "{reason}");
    }
    shutdown.cancel();
    following.await.unwrap();
}
