//! Commands inside machines.

use super::{
    Case, Failure, Fixture, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, reference},
};
use crate::{ExecRequest, ProviderError, StopMode};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(exit_codes_come_back, Exec),
        case!(the_streams_are_apart, Exec),
        case!(a_mebibyte_goes_through_and_back, Exec),
        case!(dropped_input_is_closed_input, Exec),
        case!(without_input_a_reader_ends, Exec),
        case!(the_environment_is_the_machines_and_the_requests, Exec, Service),
        case!(user_and_folder_are_the_requests, Exec),
        case!(a_program_that_is_not_there_fails, Exec),
        case!(a_machine_that_does_not_run_runs_no_commands, Exec),
        case!(commands_run_beside_each_other, Exec),
        case!(a_terminal_is_one, Exec, Real),
    ]
}

async fn exit_codes_come_back(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("coder").await?;
    for code in [0, 1, 7, 126, 127, 255] {
        ensure_eq!(
            stage.shell(&machine, &format!("exit {code}")).await?.exit,
            code,
            "the exit code of `exit {code}` is"
        );
    }
    let request = ExecRequest { command: vec!["false".to_owned()], ..ExecRequest::default() };
    ensure_eq!(stage.exec(&machine, &request, &[]).await?.exit, 1, "the exit code of `false` is");
    Ok(())
}

async fn the_streams_are_apart(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("speaker").await?;
    let ran = stage.shell(&machine, "echo out; echo err >&2; exit 3").await?;
    ensure_eq!(
        (ran.stdout.as_slice(), ran.stderr.as_slice(), ran.exit),
        (b"out\n".as_slice(), b"err\n".as_slice(), 3),
        "the two streams and the code are"
    );
    Ok(())
}

async fn a_mebibyte_goes_through_and_back(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("pipe").await?;
    // Every byte value, in an order that no line ends or terminals could keep by chance.
    let input: Vec<u8> = (0..1_u32 << 20).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let request = ExecRequest { command: vec!["cat".to_owned()], stdin: true, ..ExecRequest::default() };
    let ran = stage.exec(&machine, &request, &input).await?;
    ensure_eq!(ran.exit, 0, "the exit code of cat is");
    ensure_eq!(ran.stdout.len(), input.len(), "the bytes that came back are");
    ensure!(ran.stdout == input, "the bytes that came back differ");
    Ok(())
}

async fn dropped_input_is_closed_input(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("pipe").await?;
    let request = ExecRequest { command: vec!["cat".to_owned()], stdin: true, ..ExecRequest::default() };
    ensure_eq!(stage.exec(&machine, &request, b"").await?.exit, 0, "the exit code of cat without a byte is");
    ensure_eq!(stage.exec(&machine, &request, b"last words").await?.text(), "last words", "cat gives back");
    Ok(())
}

async fn without_input_a_reader_ends(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("reader").await?;
    let request = ExecRequest { command: vec!["cat".to_owned()], ..ExecRequest::default() };
    ensure_eq!(stage.exec(&machine, &request, &[]).await?.exit, 0, "the exit code of cat without input is");
    Ok(())
}

async fn the_environment_is_the_machines_and_the_requests(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("informed");
    machine.env.insert("ROLE".to_owned(), "worker".to_owned());
    machine.env.insert("PLACE".to_owned(), "machine".to_owned());
    stage.up(&machine).await?;
    let request = ExecRequest {
        command: vec!["env".to_owned()],
        env: vec![("PLACE".to_owned(), "request".to_owned()), ("ODD".to_owned(), "a=b \"c\"".to_owned())],
        ..ExecRequest::default()
    };
    let env = stage.exec(&machine, &request, &[]).await?.text();
    for line in ["ROLE=worker", "PLACE=request", "ODD=a=b \"c\""] {
        ensure!(env.lines().any(|there| there == line), "{line} is not in the environment:\n{env}");
    }
    Ok(())
}

async fn user_and_folder_are_the_requests(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("guest").await?;
    let request = ExecRequest {
        command: Fixture::shell("whoami; pwd"),
        user: Some("nobody".to_owned()),
        workdir: Some("/tmp".to_owned()),
        ..ExecRequest::default()
    };
    ensure_eq!(stage.exec(&machine, &request, &[]).await?.text(), "nobody\n/tmp", "user and folder are");
    ensure_eq!(stage.output(&machine, "whoami").await?, "root", "without a request the user is");
    Ok(())
}

async fn a_program_that_is_not_there_fails(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("empty").await?;
    let request = ExecRequest { command: vec!["/no/such/program".to_owned()], ..ExecRequest::default() };
    let said = match stage.exec(&machine, &request, &[]).await {
        Err(failure) => failure.to_string(),
        // Where the engine starts first and looks later, the code says it as a shell would.
        Ok(ran) => {
            ensure!(matches!(ran.exit, 126 | 127), "a program that is not there ends with {}", ran.exit);
            String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned()
        }
    };
    ensure!(said.contains("/no/such/program"), "nothing says which program is not there: {said:?}");
    Ok(())
}

async fn a_machine_that_does_not_run_runs_no_commands(stage: &Stage<'_>) -> Outcome {
    let machine = stage.machine("asleep");
    let exec = stage.provider.exec().ok_or_else(|| Failure::new("the provider runs no commands"))?;
    let request = ExecRequest { command: vec!["true".to_owned()], ..ExecRequest::default() };
    let run = async || exec.exec(&stage.cx, &reference(&machine), &request).await.map(|_| ());
    ensure!(run().await.is_err_and(|error| error.is_absent()), "that a machine is absent is not said");
    stage.create(&machine).await?;
    ensure!(run().await.is_err(), "a machine that was never started runs a command");
    stage.start(&machine).await?;
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    let result = run().await;
    let refused = matches!(&result, Err(ProviderError::Failed { .. }));
    ensure!(refused, "a command in a stopped machine gives {result:?}");
    Ok(())
}

async fn commands_run_beside_each_other(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("busy").await?;
    // A machine that has to boot first has done so then.
    stage.shell(&machine, "true").await?;
    let slow = stage.shell(&machine, "sleep 3; echo slow");
    let quick = async {
        let ran = stage.shell(&machine, "echo quick").await;
        (ran, tokio::time::Instant::now())
    };
    let began = tokio::time::Instant::now();
    let (slow, (quick, quick_ended)) = tokio::join!(slow, quick);
    ensure_eq!([slow?.text(), quick?.text()], ["slow", "quick"], "the outputs are");
    ensure!(quick_ended < began + std::time::Duration::from_millis(2900), "a quick command waited for a slow one");
    Ok(())
}

async fn a_terminal_is_one(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("typist").await?;
    let request = ExecRequest {
        command: Fixture::shell("sleep 0.3; tty; stty size; echo err >&2"),
        terminal: Some(crate::Terminal { columns: 100, rows: 30 }),
        ..ExecRequest::default()
    };
    let ran = stage.exec(&machine, &request, &[]).await?;
    let text = ran.text().replace('\r', "");
    ensure!(text.starts_with("/dev/"), "the command has no terminal: {text}");
    ensure!(text.contains("\n30 100\n"), "the terminal does not have the size that was asked for: {text}");
    ensure!(text.ends_with("err") && ran.stderr.is_empty(), "a terminal joins the streams: {ran:?}");
    Ok(())
}
